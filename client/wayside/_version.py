"""The version of the client distribution; the wire protocol has a version of its own in `wire.py`."""

__version__ = "0.1.0"
