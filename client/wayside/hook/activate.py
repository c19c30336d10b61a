"""Imported when Python starts (`wayside.pth`, `sitecustomize`): sets the hook up where it is wanted."""

from __future__ import annotations

import os
import sys

from .finder import when_imported
from .switch import DIVERT, OFF, read_switch, read_tensorboard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WRITERS = ("torch.utils.tensorboard.writer", "tensorboardX.writer")

#: Frameworks that know trackers by name, and what of ours registers there when it is imported.
_ADAPTERS = {
    "transformers.integrations.integration_utils": "wayside.integrations.transformers",
    "accelerate.tracking": "wayside.integrations.accelerate",
}

_told: set[str] = set()  # Python's start may come here by more than one way, and a notebook asks again


def activate(asked: bool = False) -> bool:
    """Whether wandb is hooked. asked: by code, not by finding a socket."""
    mode, problem = read_switch(os.environ, asked)
    tensorboard, another = read_tensorboard(os.environ, mode)
    for told in (problem, another):
        if told is not None and told not in _told:
            _told.add(told)
            sys.stderr.write(f"wayside: {told}\n")
    if mode == DIVERT:  # wandb's reports about itself would go to W&B, from a process that is to talk to nobody
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    if mode != OFF:
        when_imported("wandb", _patch)
    if tensorboard:
        for name in _WRITERS:
            when_imported(name, _patch_writers)
    if mode != OFF or tensorboard:
        for name in _ADAPTERS:
            when_imported(name, _know_adapter)
    return mode != OFF


def _patch_writers(module: Any) -> None:
    from .tensorboard import patch

    try:
        patch(module)
    except Exception as problem:  # noqa: BLE001 -- as below
        sys.stderr.write(f"wayside: this {module.__name__} cannot be hooked, and runs as ever: {problem!r}\n")


def _know_adapter(framework: Any) -> None:
    """Have a framework know its adapter by the name "wayside", which a script asks for, or does not."""
    from importlib import import_module

    try:
        import_module(_ADAPTERS[framework.__name__])
    except Exception as problem:  # noqa: BLE001 -- as below
        sys.stderr.write(f"wayside: {framework.__name__} does not know of wayside: {problem!r}\n")


def _patch(wandb: Any) -> None:
    """Hook this module as the environment says now: a script may set it after Python's start."""
    from ..detection import say_hooked
    from .patches import patch  # only now: most processes never import wandb

    mode, _ = read_switch(os.environ, asked=True)
    try:
        if mode != OFF:
            patch(wandb, mode)
            say_hooked(f"wandb {getattr(wandb, '__version__', '')} is hooked ({mode})")
    except Exception as problem:  # noqa: BLE001 -- the script goes on with wandb as it is
        sys.stderr.write(f"wayside: this wandb cannot be hooked, and runs as ever: {problem!r}\n")
