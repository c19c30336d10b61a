"""What can be set of the Lens sink."""

from pathlib import Path

import msgspec
import pytest
from wayside_collector.sinks.base import Sink, SinkOptions
from wayside_collector.sinks.lens import LensOptions, LensSink
from wayside_collector.sinks.lens.encode import RESERVED
from wayside_collector.sinks.lens.kept import TOTAL_STEPS


def read(**values) -> LensOptions:
    return msgspec.convert({"endpoint": "http://lens:8989/v1", **values}, LensOptions)


def test_only_the_endpoint_is_required():
    """A sink needs an address and nothing else; the defaults are those of the documents."""
    options = read()
    assert isinstance(options, SinkOptions)
    assert (options.push, options.timeout, options.steps_per_request) == ("metrics", 30.0, 50)
    assert (options.workload_wait, options.system, options.ensure_tflops) == (600.0, False, False)
    assert options.check() == []
    with pytest.raises(msgspec.ValidationError, match="endpoint"):
        msgspec.convert({}, LensOptions)


@pytest.mark.parametrize(
    "values",
    [
        {"push": "batch"},
        {"steps_per_request": 0},
        {"steps_per_request": 51},
        {"timeout": 0},
        {"workload_wait": -1},
        {"workload_uid": ""},
        {"run_prefix": "tag"},
        {"target_iteration": 0},
        {"target_iteration": 2**31},
        {"unknown": 1},
    ],
)
def test_a_value_that_cannot_be_is_refused_when_read(values):
    """A mistake in the file is found when it is read, by its name."""
    name = next(iter(values))
    with pytest.raises(msgspec.ValidationError, match=name):
        read(**values)


@pytest.mark.parametrize("endpoint", ["lens:8989", "http://lens/v1/wandb", "http://lens/v1/wandb/metrics"])
def test_check_finds_a_wrong_endpoint(endpoint):
    """No address, or one with the sink's own path in it, is told without asking anybody."""
    assert [problem.split(":")[0] for problem in read(endpoint=endpoint).check()] == ["endpoint"]


def test_the_sinks_traits():
    """The pump hands it complete steps of primary ranks from the oldest on, few enough to be sent in one go."""
    traits = LensSink.traits
    sink: Sink = LensSink(read())
    assert sink.traits is traits
    assert (traits.unit, traits.start, traits.ranks) == ("step", "oldest", "primary")
    assert traits.max_records <= 500


def test_every_option_and_counter_stands_on_its_page():
    """The page of the sink names each option it has, each counter, and each name it treats in its own way."""
    page = (Path(__file__).parents[3] / "docs" / "sinks" / "lens.md").read_text()
    own = set(LensOptions.__struct_fields__)
    counters = {
        "nonfinite",
        "collided",
        "untimed",
        "split",
        "partial",
        "system_left_out",
        "system_superseded",
        "forgotten",
    }
    assert {name for name in own | counters | RESERVED | set(TOTAL_STEPS) if f"`{name}" not in page} == set()
    assert all(f"`{name}`" in str(LensSink.__doc__) for name in counters)
