"""How a command finds the running collector and asks it: over HTTP, at the address it listens on."""

import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ..configuration.config import Config, environment
from ..configuration.places import socket_path
from .base import waiting

LOOK_TIMEOUT = 30.0  #: seconds for a question: the collector itself gives the store 20 s to answer one
DO_TIMEOUT = 60.0  #: seconds for an order: it may wait for a send that is under way
MOST_TOLD = 300  #: characters of a refusal: a sentence


class NoAnswer(Exception):
    """Nobody answers, or the answer is a refusal; the message says where and what to do. status: of a refusal."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


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


def ask(url: str, path: str, body: dict[str, Any] | None = None, *, token: str | None = None) -> Any:
    """The collector's answer, as JSON; with a body it is asked to do something. Raises NoAnswer."""
    if not url.startswith(("http://", "https://")):
        raise NoAnswer(f"{url} is no collector's address: give it as in --url http://127.0.0.1:9750")
    request = urllib.request.Request(f"{url.rstrip('/')}{path}")
    if token is not None:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    timeout = LOOK_TIMEOUT if body is None else DO_TIMEOUT
    try:
        with waiting(f"waiting for the collector at {url}"), urllib.request.urlopen(request, timeout=timeout) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as refusal:
        told = _told(refusal)
        if told is None:
            raise NoAnswer(f"{foreign(url)} ({refusal.code} {refusal.reason})", refusal.code) from refusal
        raise NoAnswer(f"the collector at {url} says: {told}", refusal.code) from refusal
    except (json.JSONDecodeError, UnicodeDecodeError, http.client.HTTPException) as problem:
        raise NoAnswer(foreign(url)) from problem
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        if isinstance(problem, TimeoutError):  # that of connecting comes as a URLError
            raise NoAnswer(
                f"what listens at {url} did not answer within {timeout:.0f} s: it is busy, or held up"
            ) from problem
        raise NoAnswer(
            f"no collector answers at {url} ({reason}); is it running? Another address: --url, or `listen`"
        ) from problem
    if not isinstance(found, dict):
        raise NoAnswer(foreign(url))
    return found


def foreign(url: str) -> str:
    """Somebody else's address."""
    return f"what answers at {url} is no collector; another address: --url, or `listen`"


def _told(refusal: urllib.error.HTTPError) -> str | None:
    """What stands in a refusal, in words; None when it is a page, as no collector refuses."""
    text = refusal.read(10_000).decode(errors="replace").strip()
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        plain = refusal.headers.get_content_type() == "text/plain"
        return f"{refusal.code} {text[:MOST_TOLD] or refusal.reason}" if plain else None
