"""`wandb.util`: what scripts and frameworks call of it."""

import importlib
import json
import re
import secrets
from typing import Any

from ..keyvalues import plain

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def generate_id(length: int = 8) -> str:
    """A random run id."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def get_module(name: str, required: Any = None, lazy: bool = True) -> Any:
    """The module, or None; with `required`, an ImportError that says it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if required:
            raise ImportError(required if isinstance(required, str) else f"{name} is needed") from None
        return None


def json_friendly(obj: Any, *, preserve_numpy_nan: bool = False) -> Any:
    """(value as JSON can hold it, whether it was changed)."""
    found = plain(obj)
    return found, found is not obj


def json_dumps_safer(obj: Any, **kwargs: Any) -> str:
    """JSON of anything."""
    return json.dumps(plain(obj), **kwargs)


def make_artifact_name_safe(name: str) -> str:
    """A name that an Artifact takes."""
    cleaned = re.sub(r"[^a-zA-Z0-9_\-.]", "_", name)
    return cleaned if len(cleaned) <= 128 else f"{cleaned[:63]}..{cleaned[-63:]}"
