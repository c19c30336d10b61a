"""The sink that feeds a gateway: another collector, which keeps what it is sent and delivers it to its own sinks.

`options.py` says what can be set, `encode.py` turns parcels into bodies, `judge.py` says what answers mean, `send.py`
is the sink. The format of a body stands in `wayside_collector.relay`, the other end in `sources/http.py`.
"""

from .options import GatewayOptions
from .send import GatewaySink

__all__ = ["GatewayOptions", "GatewaySink"]
