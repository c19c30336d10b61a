"""Lens's two forms of an answer: the bare body, and the same within an envelope, whose errors come with status 200.

Grafana's dashboards read the bare one, SaFE's client the envelope; no one body serves both. Who asks says which, by
`envelope=` or the header X-Lens-Envelope; else it is what the endpoint or the configuration says. Pure.
"""

from collections.abc import Mapping
from typing import Literal

from .encoding import encode

HEADER = "X-Lens-Envelope"
OK, BAD, UNKNOWN, UNEXPECTED, DATABASE, UNAVAILABLE = 2000, 4001, 4004, 5000, 5002, 5003  # Lens's own codes

Bodies = Literal["bare", "envelope"]


def said(query: Mapping[str, str]) -> bool | None:
    """What the query says, also one whose other parameters are wrong; None where it says nothing."""
    return {"true": True, "1": True, "false": False, "0": False}.get(query.get("envelope", "").lower())


def is_wanted(asked: bool | None, headers: Mapping[str, str], usual: Bodies) -> bool:
    """Whether an answer comes in the envelope."""
    if asked is not None:
        return asked
    told = headers.get(HEADER, "").strip().lower()
    return told in ("true", "1", "yes") if told else usual == "envelope"


def wrap(body: bytes) -> bytes:
    """A bare body in its envelope."""
    return b'{"meta":{"code":2000,"message":"OK"},"data":%b,"tracing":null}' % body


def failure(code: int, message: str) -> bytes:
    """What went wrong, in an envelope."""
    return encode({"meta": {"code": code, "message": message}, "data": None, "tracing": None})
