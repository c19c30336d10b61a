"""Imported when Python starts (`wayside.pth`, `sitecustomize`): sets the hook up where it is wanted."""

from __future__ import annotations

import os
import sys

from .finder import when_imported
from .switch import OFF, read_switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def activate(asked: bool = False) -> bool:
    """Whether the hook is on. asked: by code, not by finding a socket."""
    mode, problem = read_switch(os.environ, asked)
    if problem is not None:
        sys.stderr.write(f"wayside: {problem}\n")
    if mode != OFF:
        when_imported("wandb", _patch)
    return mode != OFF


def _patch(wandb: Any) -> None:
    """Hook this module as the environment says now: a script may set it after Python's start."""
    from .patches import patch  # only now: most processes never import wandb

    mode, _ = read_switch(os.environ, asked=True)
    try:
        if mode != OFF:
            patch(wandb, mode)
    except Exception as problem:  # noqa: BLE001 -- the script goes on with wandb as it is
        sys.stderr.write(f"wayside: this wandb cannot be hooked, and runs as ever: {problem!r}\n")
