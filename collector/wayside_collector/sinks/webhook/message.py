"""From events to what people are told. Pure.

An alert says all by itself. That a run has started is told by the first of its sessions, that it has finished by the
one that speaks for it, and that it has crashed or failed by the first that did: a job of eight ranks is one message.
"""

from typing import Any, Literal, NamedTuple

from wayside.row import ABOUT, ALERT, FINISH, Event

from ...session import Session
from ..base import Part

LEVELS = ("INFO", "WARN", "ERROR")
MAX_TITLE = 256  #: characters; a headline, and W&B takes 64
MAX_TEXT = 3000  #: characters; of longer ones Slack shows the beginning alone, and Teams refuses 28 kB

Kind = Literal["alert", "started", "finished", "crashed"]


class Message(NamedTuple):
    """kind: what happened. id: session and seq, the same should it come twice. once: what of the run it is told for, no
    more than once; None for alerts, which `wait` holds for. wait: the alert's own.
    """

    kind: Kind
    level: str
    title: str
    text: str
    id: str
    time: float
    step: int | None
    run: str
    name: str
    project: str
    rank: int | None
    host: str
    exit_code: int | None = None
    once: str | None = None
    wait: float = 0.0


def kind_of(event: Event) -> Kind | None:
    """What an event says of its run; None for what nobody is told."""
    if event.kind == ALERT:
        return "alert"
    if event.kind == ABOUT:
        return "started"
    if event.kind == FINISH:
        return "finished" if event.data.get("exit_code") == 0 else "crashed"
    return None


def level_of(event: Event) -> str:
    """An alert's level; a word that is none counts as INFO."""
    level = str(event.data.get("level", "INFO")).upper()
    return level if level in LEVELS else "INFO"


def message_of(part: Part, event: Event) -> Message | None:
    """What people are told of an event; None where another session tells it."""
    kind, session = kind_of(event), part.session
    about = _about(session, str(event.seq), event.time, event.step)
    name = about["name"]
    if kind == "alert":
        data = event.data
        wait = data.get("wait")
        about["wait"] = float(wait) if isinstance(wait, int | float) and wait > 0 else 0.0
        return Message(
            kind, level_of(event), _cut(data.get("title"), MAX_TITLE), _cut(data.get("text"), MAX_TEXT), **about
        )
    if kind == "started":
        return _started(session, about)
    if kind == "finished" and part.primary:
        return Message(kind, "INFO", f"{name} has finished", "", exit_code=0, **about)
    if kind == "crashed":
        code = event.data.get("exit_code")
        told, exit_code = _why(event.data), code if isinstance(code, int) else None
        once = f"crashed {session.attempt}"
        return Message(kind, "ERROR", f"{name} has {told[0]}", told[1], exit_code=exit_code, once=once, **about)
    return None


def start_of(part: Part) -> Message | None:
    """That the session's run has started, before its event says so; None where none will."""
    session = part.session
    if session.origin not in ("wayside", "wandb"):
        return None
    return _started(session, _about(session, "started", session.started, None))


def _started(session: Session, about: dict[str, Any]) -> Message:
    return Message("started", "INFO", f"{about['name']} has started", "", once=f"started {session.attempt}", **about)


def _about(session: Session, what: str, time: float, step: int | None) -> dict[str, Any]:
    run = session.run
    return {
        "id": f"{session.id}:{what}",
        "time": time,
        "step": step,
        "run": run.id,
        "name": run.name or run.id,
        "project": run.project or "default",
        "rank": session.rank,
        "host": session.host,
    }


def _why(data: dict[str, Any]) -> tuple[str, str]:
    """How a run ended that did not end well, in a word and in a sentence."""
    code = data.get("exit_code")
    if isinstance(code, int):
        return "failed", f"It ended with exit code {code}."
    return "crashed", "It is gone without a word: killed, out of memory, or its node is lost."


def _cut(value: Any, most: int) -> str:
    text = "" if value is None else str(value)
    text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
    return text if len(text) <= most else text[: most - 1] + "…"
