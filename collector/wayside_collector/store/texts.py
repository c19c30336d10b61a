"""Texts and JSON as every engine takes them. Pure."""

import json
from typing import Any

from wayside import wire


def clean(text: str) -> str:
    """Without what a table cannot hold: NUL, and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")


def to_json(value: Any) -> str:
    """Strict JSON of whatever a client sent; what is not finite spelled out, as in the JSON lines."""
    return clean(json.dumps(_strict(value), separators=(",", ":"), ensure_ascii=False))


def _strict(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return wire.spell(value)
    if isinstance(value, dict):
        return {key: _strict(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(inner) for inner in value]
    return value
