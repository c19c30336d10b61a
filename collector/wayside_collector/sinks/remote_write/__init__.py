"""The remote write sink: every row, with its own time, pushed to a Prometheus or whatever takes its protocol.

`options.py` says what can be set, `series.py` turns rows into samples of named series (`naming.py` says under which
names, and what outlives a restart), `encode.py` makes bodies of them, `judge.py` says what answers mean, `send.py` is
the sink.
"""

from .options import RemoteWriteOptions
from .send import RemoteWriteSink

__all__ = ["RemoteWriteOptions", "RemoteWriteSink"]
