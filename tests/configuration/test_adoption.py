"""Which configurations adopt, and which are refused."""

from typing import Any

import pytest
from wayside_collector.configuration import config

GATEWAY = {"gateway": {"endpoint": "http://gateway:9750"}}


def problems(configured: dict[str, Any], **adopt: Any) -> list[str]:
    try:
        config.build({"sinks": configured, "adopt": adopt}, {})
    except config.ConfigError as refused:
        return refused.problems
    return []


def test_a_sink_that_delivers_elsewhere() -> None:
    """It is taken, by the name it has."""
    assert problems(GATEWAY, below=["/pods"], sinks=["gateway"]) == []
    assert problems({"up": {"kind": "gateway", **GATEWAY["gateway"]}}, below=["/pods"], sinks=["up"]) == []


@pytest.mark.parametrize("name", ["prometheus", "jsonl", "store"])
def test_a_sink_that_keeps_things_in_the_folder(name: str) -> None:
    """It is refused: what it was given would go with the folder."""
    (problem,) = problems({name: {}}, below=["/pods"], sinks=[name])
    assert problem == f"adopt.sinks: the sink {name} keeps what it is given in the folder, and would go with it"


def test_what_is_said_of_the_rest() -> None:
    """A sink that is not there, none at all, and a folder that depends on where one stands."""
    assert problems(GATEWAY, below=["/pods"], sinks=["gatway"]) == [
        "adopt.sinks: there is no sink 'gatway'; did you mean gateway? known are gateway"
    ]
    assert problems(GATEWAY, below=["pods"]) == [
        "adopt.below: 'pods' must be an absolute path",
        "adopt.sinks: must name at least one of `sinks`: without it nothing could be delivered",
    ]


def test_a_time_that_may_be_left_out() -> None:
    """exit_when_alone is a time with a unit, or nothing."""
    assert config.build({"exit_when_alone": "10s"}, {}).top.exit_when_alone == 10
    assert config.build({}, {"WAYSIDE_EXIT_WHEN_ALONE": "2m"}).top.exit_when_alone == 120
    assert config.build({"exit_when_alone": None}, {}).top.exit_when_alone is None
    with pytest.raises(config.ConfigError) as refused:
        config.build({"exit_when_alone": "soon"}, {})
    assert refused.value.problems == ["exit_when_alone: must be a time like 30s, more than zero; it is 'soon'"]
