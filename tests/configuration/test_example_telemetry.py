"""The example of a collector with everything that speaks to others' systems."""

from pathlib import Path

from wayside_collector.configuration import config

EXAMPLE = Path(__file__).parents[2] / "examples/telemetry.yaml"


def test_it_is_a_configuration() -> None:
    """Without a problem or a warning, and with every part that it is about."""
    found = config.load(EXAMPLE, {})
    assert {sink.name for sink in found.sinks} == {"prometheus", "remote_write", "otlp", "mqtt"}
    assert [source.name for source in found.sources] == ["mqtt"]
    assert found.warnings == []
