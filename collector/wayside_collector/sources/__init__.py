"""The tables of samplers, and of sources that go and get rows elsewhere: a name in the configuration to the options and
the class, imported only when chosen.

The socket and the journals are sources as well, always there, and not in this table: their options, `socket` and
`clients`, stand at the top of the configuration.
"""

from typing import NamedTuple


class SamplerKind(NamedTuple):
    """options, sampler: import strings, "module:name"."""

    options: str
    sampler: str


SAMPLERS: dict[str, SamplerKind] = {
    name: SamplerKind(
        f"wayside_collector.sources.{name}:{name.capitalize()}Options",
        f"wayside_collector.sources.{name}:{name.capitalize()}Sampler",
    )
    for name in ("amd", "host", "nvidia")
}


class SourceKind(NamedTuple):
    """options, source: import strings, "module:name"."""

    options: str
    source: str


SOURCES: dict[str, SourceKind] = {
    "mqtt": SourceKind("wayside_collector.sources.mqtt:MqttSourceOptions", "wayside_collector.sources.mqtt:MqttSource")
}
