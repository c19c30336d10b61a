"""How a command finds the running collector and asks it: over HTTP, at the address it listens on."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ..config import Config, environment
from ..places import socket_path
from .base import waiting

LOOK_TIMEOUT = 10.0  #: seconds for a question: the collector never waits for anything to answer one
DO_TIMEOUT = 60.0  #: seconds for an order: it may wait for a send that is under way


class NoAnswer(Exception):
    """Nobody answers, or the answer is a refusal; the message says where and what to do."""


def url_of(found: Config) -> str:
    """Where the collector of this configuration is: as configured, or, where it chose the port, from the note beside
    its socket.
    """
    host, port = found.address
    if port == 0:
        note = _note(socket_path(found, environment()).parent / "collector.json")
        if note is not None:
            return note
    return f"http://{host if host not in ('', '0.0.0.0', '::') else '127.0.0.1'}:{port}"


def _note(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["url"]).rstrip("/")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ask(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The collector's answer, as JSON; with a body it is asked to do something. Raises NoAnswer."""
    request = urllib.request.Request(f"{url.rstrip('/')}{path}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    timeout = LOOK_TIMEOUT if body is None else DO_TIMEOUT
    try:
        with waiting(f"waiting for the collector at {url}"), urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        raise NoAnswer(f"the collector at {url} says: {_told(refusal)}") from refusal
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        raise NoAnswer(
            f"no collector answers at {url} ({reason}); is it running? Another address: --url, or `listen`"
        ) from problem


def _told(refusal: urllib.error.HTTPError) -> str:
    """What stands in a refusal, in words."""
    text = refusal.read(10_000).decode(errors="replace").strip()
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return f"{refusal.code} {text or refusal.reason}"
