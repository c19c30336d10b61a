"""What W&B accepts as names, and how others become such. Pure.

A run's id keeps letters, digits, `-`, `_` and `.`; every other byte becomes `_xHH`, and a `_` that would look like
such an escape becomes `_x5f`, so that two ids never become one. An id over MAX_ID ends in a digest of the whole.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

from ...session import Run, Session
from .flight import STEP, RunKey
from .options import WandbOptions
from .protocol import Identity

MAX_ID = 128  #: characters; the longest id W&B takes
MAX_TAG = 64  #: characters; the SDK raises above
MAX_NAME = 128  #: characters of a run's, group's or job type's name
MAX_NOTES = 1 << 16  #: characters; notes are a page, not a log
RESERVED = frozenset({"_step", "_timestamp", "_runtime", "_wandb", STEP})  #: metrics the SDK or this sink writes
_PLAIN = re.compile(r"[A-Za-z0-9.-]|_(?!x[0-9a-f]{2})")
_NOT_IN_PROJECT = re.compile(r"[/\\#?%:]")


def run_id(id: str) -> str:
    """The id at W&B."""
    text = "".join(_escaped(id, at) for at in range(len(id))) or "_x00"
    if len(text) <= MAX_ID:
        return text
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return f"{text[: MAX_ID - 43]}_x_{digest}"


def _escaped(id: str, at: int) -> str:
    if _PLAIN.match(id, at):
        return id[at]
    return "".join(f"_x{byte:02x}" for byte in id[at].encode("utf-8", "surrogatepass"))


def project_name(project: str) -> str:
    """W&B refuses a project's name with one of / \\ # ? % : in it, or above 128 characters."""
    return _NOT_IN_PROJECT.sub("-", sound(project))[:MAX_NAME]


def sound(text: str) -> str:
    """The text without halves of characters (lone surrogates), which JSON lets through and nothing else takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@lru_cache(maxsize=8192)  # a run has some hundred names, each in every row
def metric_name(name: str) -> str:
    """The user's metric, out of the way of the names the SDK and this sink write themselves."""
    return f"wayside/user/{name}" if name in RESERVED else sound(name)


def run_key(run: Run, options: WandbOptions, offline: bool = False) -> RunKey:
    """Where a run stands at W&B, or will when its folder is synced."""
    return RunKey(run.entity or options.entity, project_name(run.project or options.project), run_id(run.id), offline)


def page(run: Run, options: WandbOptions, own: str | None) -> str | None:
    """Where the run is to be seen at W&B; own: the API key's own entity. None where that is not known."""
    key = run_key(run, options)
    entity = key.entity or own
    if entity is None or options.mode == "offline":
        return None
    base = options.base_url.rstrip("/")
    site = "https://wandb.ai" if base == "https://api.wandb.ai" else base
    return f"{site}/{quote(entity, safe='')}/{quote(key.project, safe='')}/runs/{quote(key.id, safe='')}"


def identity(key: RunKey, session: Session, options: WandbOptions, about: dict[str, object]) -> Identity:
    """How the run introduces itself, from one of its sessions and what is known about its program."""
    run = session.run
    git = about.get("git")
    commit, remote = (git.get("commit"), git.get("remote")) if isinstance(git, dict) else (None, None)
    command = about.get("command")
    program = command[0] if isinstance(command, list) and command else command
    return Identity(
        key.id,
        key.project,
        key.entity,
        name=_text(run.name, MAX_NAME),
        group=_text(run.group, MAX_NAME),
        job_type=_text(run.job_type, MAX_NAME),
        notes=_text(run.notes, MAX_NOTES),
        tags=_tags([*run.tags, *options.tags]),
        host=_text(session.host, MAX_NAME),
        program=_text(program, 1024),
        git_commit=_text(commit, 128),
        git_remote=_text(remote, 1024),
    )


def _text(value: object, most: int) -> str | None:
    return sound(value)[:most] if isinstance(value, str) and value else None


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sound(tag)[:MAX_TAG] for tag in tags if tag))


def rank_prefix(session: Session, primary: bool) -> str:
    """What is put before the metrics of a session that does not speak for its run: ranks share one run at W&B."""
    if primary:
        return ""
    return f"rank{session.rank}/" if session.rank is not None else f"{session.id[:8]}/"
