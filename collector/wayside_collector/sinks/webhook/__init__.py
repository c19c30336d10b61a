"""The sink that tells people: alerts, and what becomes of runs, as requests to a chat, a pager, or any address.

`options.py` says what can be set, `message.py` turns events into messages, `bodies.py` messages into bodies, `send.py`
is the sink.
"""

from .options import WebhookOptions
from .send import WebhookSink

__all__ = ["WebhookOptions", "WebhookSink"]
