"""What every sampler promises: one suite over the whole table, on a machine that has none of its hardware."""

import math
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from wayside_collector.configuration import config
from wayside_collector.sources import SAMPLERS
from wayside_collector.sources.base import Sample, Sampler, Unavailable

DOCS = Path(__file__).parents[2] / "docs"
#: Where a machine's own hardware must not be found: whoever runs the tests may have some.
ABSENT: dict[str, dict[str, Any]] = {"amd": {"root": "/nonexistent", "library": "off"}}

every_sampler = pytest.mark.parametrize("name", SAMPLERS)


def options_type(name: str) -> Any:
    return config.load_name(SAMPLERS[name].options)


def make(name: str) -> Sampler:
    found: Sampler = config.load_name(SAMPLERS[name].sampler)(options_type(name)(**ABSENT.get(name, {})))
    return found


@every_sampler
def test_its_options_are_a_small_frozen_struct(name: str) -> None:
    """Frozen, closed, by name only, all with defaults, each explained where it is defined; one of them is the clock."""
    kind = options_type(name)
    struct = kind.__struct_config__
    assert (struct.frozen, struct.forbid_unknown_fields) == (True, True)
    with pytest.raises(TypeError):
        kind(1.0)
    assert not [field.name for field in msgspec.structs.fields(kind) if field.required]
    for option in kind.__struct_fields__:
        assert re.search(rf"\b{option}\b[^:]*:", kind.__doc__), f"{kind.__name__}'s docstring says nothing of {option}"
    assert 0.1 <= kind().interval <= 60
    assert config.build({"sources": {name: {"interval": "2s"}}}, {}).samplers[0].options.interval == 2.0


@every_sampler
def test_its_page_is_there_and_linked(name: str) -> None:
    """docs/sources/NAME.md, from the README and the configuration; `tests/sources` holds it to the code."""
    assert (DOCS / f"sources/{name}.md").is_file()
    assert f"](docs/sources/{name}.md)" in (DOCS.parent / "README.md").read_text()
    assert f"](sources/{name}.md)" in (DOCS / "configuration.md").read_text()


@every_sampler
def test_it_can_be_closed_at_any_time(name: str) -> None:
    """Without having been opened, and twice."""
    sampler = make(name)
    sampler.close()
    sampler.close()


@every_sampler
def test_it_measures_or_says_that_there_is_nothing(name: str) -> None:
    """Either way in words; what it measures are finite numbers under the names of the contract."""
    sampler = make(name)
    try:
        samples = opened(sampler)
        for sample in samples:
            assert all(isinstance(value, float | int) and math.isfinite(value) for value in sample.metrics.values())
            assert all(re.fullmatch(r"[a-z_]+(/.+)?/[a-z0-9_]+", metric) for metric in sample.metrics), sample.metrics
            assert all(isinstance(text, str) and text for text in sample.problems)
    finally:
        sampler.close()
        sampler.close()


def opened(sampler: Sampler) -> list[Sample]:
    """Two samples; none where there is nothing to measure, which is told in words that a person understands."""
    reason = "there is something"
    try:
        sampler.open()
    except Unavailable as told:
        reason = str(told)
    assert len(reason) > 10
    return [sampler.sample(), sampler.sample()] if reason == "there is something" else []
