"""Texts and JSON as every engine takes them. Pure."""

import hashlib
import json
from typing import Any

from ..strict import strict


def clean(text: str) -> str:
    """Without what a table cannot hold: NUL, and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")


MAX_KEY = 2000  #: bytes of a text that is looked up by: PostgreSQL's indexes hold no more than 2,704


def key_text(text: str) -> str:
    """A text to look something up by: a longer one is cut, and ends in a hash of the whole."""
    text = clean(text)
    data = text.encode()
    if len(data) <= MAX_KEY:
        return text
    return f"{data[:200].decode(errors='ignore')}…{hashlib.sha256(data).hexdigest()[:32]}"


def to_json(value: Any) -> str:
    """Strict JSON of whatever a client sent; what is not finite spelled out, as in the JSON lines. Raises
    RecursionError as `strict` does.
    """
    return clean(json.dumps(strict(value), separators=(",", ":"), ensure_ascii=False))
