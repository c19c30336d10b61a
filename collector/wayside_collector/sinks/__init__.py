"""The table of sinks: a name in the configuration to the options and the class, imported only when chosen."""

from typing import NamedTuple


class SinkKind(NamedTuple):
    """options, sink: import strings, "module:name". page: it has a part of `/metrics` (`render`). local: what it is
    given stays in the collector's own folder, or in its memory.
    """

    options: str
    sink: str
    page: bool = False
    local: bool = False


SINKS: dict[str, SinkKind] = {
    "gateway": SinkKind(
        "wayside_collector.sinks.gateway:GatewayOptions", "wayside_collector.sinks.gateway:GatewaySink"
    ),
    "jsonl": SinkKind(
        "wayside_collector.sinks.jsonl:JsonlOptions", "wayside_collector.sinks.jsonl:JsonlSink", local=True
    ),
    "lens": SinkKind("wayside_collector.sinks.lens:LensOptions", "wayside_collector.sinks.lens:LensSink"),
    "mqtt": SinkKind("wayside_collector.sinks.mqtt:MqttOptions", "wayside_collector.sinks.mqtt:MqttSink"),
    "otlp": SinkKind("wayside_collector.sinks.otlp:OtlpOptions", "wayside_collector.sinks.otlp:OtlpSink"),
    "prometheus": SinkKind(
        "wayside_collector.sinks.prometheus:PrometheusOptions",
        "wayside_collector.sinks.prometheus:PrometheusSink",
        page=True,
        local=True,
    ),
    "remote_write": SinkKind(
        "wayside_collector.sinks.remote_write:RemoteWriteOptions",
        "wayside_collector.sinks.remote_write:RemoteWriteSink",
    ),
    "store": SinkKind(
        "wayside_collector.sinks.store:StoreOptions", "wayside_collector.sinks.store:StoreSink", local=True
    ),
    "wandb": SinkKind("wayside_collector.sinks.wandb:WandbOptions", "wayside_collector.sinks.wandb:WandbSink"),
    "webhook": SinkKind(
        "wayside_collector.sinks.webhook:WebhookOptions", "wayside_collector.sinks.webhook:WebhookSink"
    ),
}
