"""What wandb's own variables ask of W&B for a run. They stand in the training container, and it is the collector that
talks to W&B, so they are announced with the session; what they ask of a run's identity is `settings.py`'s. Pure, but
for `find_key`, which looks into a file.

The API key itself is never announced: only that there is one is said, and to the user alone.
"""

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from .primus import address
from .reading import SHOWN, first, switch

CLOUD = "https://api.wandb.ai"
RESUMES = ("allow", "must", "never", "auto")

#: wandb's own spellings, the older ones among them.
_MODES = {"online": "online", "run": "online", "shared": "online", "offline": "offline", "dryrun": "offline"}
_MODES["disabled"] = "disabled"
_MAX_NETRC = 1 << 20  # bytes; a larger one is no netrc


class ForWandb(NamedTuple):
    """mode: "online", "offline" (a folder for `wandb sync`) or "disabled": they govern W&B alone. base_url: the server,
    as the training was told. dir: where offline folders are wanted. verify_tls: False where certificates are not to be
    checked.
    """

    mode: str = "online"
    base_url: Optional[str] = None
    dir: Optional[str] = None
    verify_tls: bool = True

    def fields(self) -> Dict[str, Any]:
        """What the session record says of it: only what is not the default."""
        usual = ForWandb()._asdict()
        return {name: value for name, value in self._asdict().items() if value != usual[name]}


def read_for_wandb(environ: Mapping[str, str], cwd: str, problems: List[str]) -> ForWandb:
    """cwd: where a relative WANDB_DIR starts."""
    folder = first(environ, ("WANDB_DIR",))[1]
    insecure = switch(environ, ("WANDB_INSECURE_DISABLE_SSL",), False, problems)
    # Guides have it, though wandb does not: what cannot be read means nothing here.
    verify = switch(environ, ("WANDB_VERIFY_SSL",), True, problems, unset=True)
    return ForWandb(
        mode=_mode(first(environ, ("WANDB_MODE",))[1], problems),
        base_url=address(environ, "WANDB_BASE_URL"),
        dir=os.path.join(cwd, os.path.expanduser(folder)) if folder else None,
        verify_tls=verify and not insecure,
    )


def read_resume(environ: Mapping[str, str], problems: List[str]) -> Optional[str]:
    """WANDB_RESUME, as `init(resume=)` takes it."""
    value = first(environ, ("WANDB_RESUME",))[1].lower()
    if value in ("", "false", "0", "no", "off"):
        return None
    if value in ("true", "1", "yes", "on"):
        return "allow"
    if value in RESUMES:
        return value
    problems.append(f"WANDB_RESUME is {value[:SHOWN]!r} and must be {', '.join(RESUMES)}; it counts as not set")
    return None


def find_key(environ: Mapping[str, str], base_url: Optional[str] = None) -> Optional[str]:
    """Where this process has an API key for W&B, in words; None where it has none. The key is not looked at."""
    if environ.get("WANDB_API_KEY", "").strip():
        return "WANDB_API_KEY"
    path = environ.get("NETRC", "").strip() or os.path.join(environ.get("HOME", "").strip() or "~", ".netrc")
    try:
        with open(os.path.expanduser(path), encoding="utf-8", errors="replace") as file:
            words = file.read(_MAX_NETRC).split()
    except (OSError, ValueError):
        return None
    host = (base_url or CLOUD).partition("://")[2].partition("/")[0].partition(":")[0]
    return path if any(pair == ("machine", host) for pair in zip(words, words[1:])) else None


def key_advice(heard: Optional[str], hello: Mapping[str, Any], environ: Mapping[str, str]) -> Optional[str]:
    """One line for a user whose key is here while the collector has none; None where all is well. heard: what the
    collector says of its own. hello: the session record.
    """
    asked = hello.get("wandb") or {}
    if heard not in ("no key", "no sink") or hello.get("origin") == "wandb" or asked.get("mode", "online") != "online":
        return None
    where = find_key(environ, asked.get("base_url"))
    if where is None:
        return None
    missing = "has none" if heard == "no key" else "has no W&B sink"
    put = "in the collector's environment" if heard == "no key" else "in its environment, and `wandb: {}` to its sinks"
    return f"this process has a W&B key ({where}), and the collector {missing}: set WANDB_API_KEY {put}"


def _mode(value: str, problems: List[str]) -> str:
    found = _MODES.get(value.lower(), "" if value else "online")
    if not found:
        problems.append(f"WANDB_MODE is {value[:SHOWN]!r} and must be online, offline or disabled; online is used")
    return found or "online"
