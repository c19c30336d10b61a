"""Whether wandb is hooked in this process, and how: what the environment says. Imports next to nothing, since every
Python process of an environment may ask.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

OFF, MIRROR, DIVERT = "off", "mirror", "divert"

_YES = ("1", "true", "yes", "on", "y", "t")
_NO = ("0", "false", "no", "off", "n", "f")


def read_switch(environ: Mapping[str, str], asked: bool = False) -> tuple[str, str | None]:
    """OFF, MIRROR (wandb runs as it was, and we hear every row) or DIVERT (the collector talks to W&B instead); and
    what to tell the user of a value that cannot be used.

    `WAYSIDE_WANDB_HOOK` where it is set, else `PRIMUS_LENS_WANDB_HOOK`, else on where a collector's socket is
    configured or found, or the hook was asked for in code. With `WAYSIDE_MODE=disabled` it is off.
    """
    if environ.get("WAYSIDE_MODE", "").strip().lower() == "disabled":
        return OFF, None  # nothing of ours, so nothing of wandb's may be lost for it
    for name in ("WAYSIDE_WANDB_HOOK", "PRIMUS_LENS_WANDB_HOOK"):
        value = environ.get(name, "").strip().lower()
        if value in (MIRROR, DIVERT) and name.startswith("WAYSIDE"):
            return value, None
        if value in _YES:
            return MIRROR, None
        if value in _NO:
            return OFF, None
        if value:
            return OFF, f"{name} is {value[:80]!r} and must be mirror, divert or off; wandb is not hooked"
    on = asked or environ.get("WAYSIDE_SOCKET", "").strip() or _found(environ)
    return (MIRROR if on else OFF), None


def read_tensorboard(environ: Mapping[str, str], wandb: str) -> tuple[bool, str | None]:
    """Whether TensorBoard's writers are hooked, and what to tell the user of a value that cannot be used: as
    `WAYSIDE_TENSORBOARD_HOOK` says, else where wandb is. wandb: how that is hooked.
    """
    value = environ.get("WAYSIDE_TENSORBOARD_HOOK", "").strip().lower()
    if not value:
        return wandb != OFF, None
    if value in _YES or value in _NO:
        return value in _YES, None
    return False, f"WAYSIDE_TENSORBOARD_HOOK is {value[:80]!r} and must be on or off; TensorBoard is not hooked"


def _found(environ: Mapping[str, str]) -> bool:
    """Whether a collector's socket lies in one of the usual places, as `settings.socket_candidates` has them."""
    runtime = environ.get("XDG_RUNTIME_DIR", "").strip()
    usual = ["/run/wayside", os.path.join(runtime, "wayside") if runtime else "", ".wayside"]
    return any(os.path.exists(os.path.join(folder, "wayside.sock")) for folder in usual if folder)
