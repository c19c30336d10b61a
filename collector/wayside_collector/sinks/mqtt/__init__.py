"""The MQTT sink: each metric of each row as a message.

`options.py` says what can be set, `messages.py` turns rows into topics and payloads, `send.py` is the sink. The
connection to the broker stands in `wayside_collector.broker`, which the MQTT source shares.
"""

from .options import MqttOptions
from .send import MqttSink

__all__ = ["MqttOptions", "MqttSink"]
