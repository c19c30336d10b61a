"""The OTLP sink: every row as OpenTelemetry metrics, over HTTP.

`options.py` says what can be set, `encode.py` turns rows into requests, `judge.py` says what answers mean, `send.py` is
the sink.
"""

from .options import OtlpOptions
from .send import OtlpSink

__all__ = ["OtlpOptions", "OtlpSink"]
