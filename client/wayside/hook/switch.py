"""Whether wandb is hooked in this process, and how: what the environment says. Imports next to nothing, since every
Python process of an environment may ask.
"""

import os
from typing import Mapping, NamedTuple, Optional

OFF, MIRROR, DIVERT = "off", "mirror", "divert"

_YES = ("1", "true", "yes", "on", "y", "t")
_NO = ("0", "false", "no", "off", "n", "f")


class Switch(NamedTuple):
    """mode: OFF, MIRROR (wandb runs as it was, and we hear every row) or DIVERT (the collector talks to W&B instead).
    problem: what to tell the user of a value that cannot be used.
    """

    mode: str
    problem: Optional[str] = None


def read_switch(environ: Mapping[str, str], asked: bool = False) -> Switch:
    """`WAYSIDE_WANDB_HOOK` where it is set, else `PRIMUS_LENS_WANDB_HOOK`, else on where a collector's socket is
    configured or found, or the hook was asked for in code.
    """
    for name in ("WAYSIDE_WANDB_HOOK", "PRIMUS_LENS_WANDB_HOOK"):
        value = environ.get(name, "").strip().lower()
        if value in (MIRROR, DIVERT) and name.startswith("WAYSIDE"):
            return Switch(value)
        if value in _YES:
            return Switch(MIRROR)
        if value in _NO:
            return Switch(OFF)
        if value:
            return Switch(OFF, f"{name} is {value[:80]!r} and must be mirror, divert or off; wandb is not hooked")
    return Switch(MIRROR if asked or environ.get("WAYSIDE_SOCKET", "").strip() or _found(environ) else OFF)


def _found(environ: Mapping[str, str]) -> bool:
    """Whether a collector's socket lies in one of the usual places, as `settings.socket_candidates` has them."""
    runtime = environ.get("XDG_RUNTIME_DIR", "").strip()
    usual = ["/run/wayside", os.path.join(runtime, "wayside") if runtime else "", ".wayside"]
    return any(os.path.exists(os.path.join(folder, "wayside.sock")) for folder in usual if folder)
