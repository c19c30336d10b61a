"""How Lens wants a step: identity, names, numbers, and the body of a request. Pure.

Lens is written in Go and stores into PostgreSQL, and both are strict: a bare NaN, a step with a decimal point or a
text where a number belongs refuses the whole request; a NUL in a name fails the whole step; a step beyond 32 bits
wraps in silence; some names overwrite what Lens itself keeps with a step. What is put together here meets none of it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from ...session import Session
from ..base import Ref
from .options import MAX_INT32, LensOptions

MIN_INT32 = -MAX_INT32 - 1
MAX_POINTS = 20_000  #: points a request, about 2 MB as "metrics": wide steps go in smaller company; one goes whole
_LAST_TIME = 253_402_300_799.0  # the end of the year 9999: later, Lens cannot write the time as text

#: Names under which Lens keeps its own: a metric of that name would overwrite it, or be hidden from every query.
RESERVED = frozenset(
    {"step", "run_id", "source", "history", "created_at", "updated_at", "iteration", "target_iteration"}
)
ASIDE = "metric/"  #: put before a reserved name


class Header(NamedTuple):
    """Who is speaking: what a request says beside its steps. What is not known is empty, never absent."""

    workload_uid: str
    pod_uid: str
    pod_name: str
    run_id: str

    @property
    def workload(self) -> tuple[str, str]:
        """What Lens finds the workload by."""
        return self.workload_uid, self.pod_name


class Push(NamedTuple):
    """What one record becomes: the values of one step under the names Lens gets, finite, in the order logged.

    refs: the rows it is made of. took: the key of the kept sample whose values are among them, and what was kept.
    nonfinite: points left out. collided: points whose name, made acceptable, was that of an earlier one. untimed:
    whether the record had no time that Lens could keep, and stands at the time it was sent.
    """

    refs: frozenset[Ref]
    step: int
    time: float
    values: dict[str, float]
    took: tuple[str, bytes] | None
    nonfinite: int
    collided: int
    untimed: bool


def identify(session: Session, options: LensOptions) -> Header:
    """The header of a session's requests. A workload that is only the pod under another name is left for Lens to find
    by the pod: Lens believes any workload_uid it is given, and nobody would find the rows under a pod's.
    """
    pod = session.pod
    told = "" if options.workload_from == "pod" else session.workload or ""
    known = "" if pod.name and told in (pod.name, pod.uid) else told
    return Header(*map(clean, (options.workload_uid or known, pod.uid or "", pod.name or "", session.run.id)))


def prefix(session: Session, options: LensOptions) -> str:
    """What stands before the names of a session's metrics: Lens files by workload and step alone, so whatever else
    tells two values apart must be in their names.
    """
    run = session.run
    which = {"none": "", "id": run.id, "name": run.name or run.id}[options.run_prefix]
    rank = f"rank{session.rank}/" if options.ranks == "all" and session.rank is not None else ""
    return (f"{which}/" if which else "") + rank


def clean(text: str) -> str:
    """Text that JSON and PostgreSQL both take: without NUL and lone surrogates."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\0", "")


def lens_name(name: str) -> str:
    """A metric's name as Lens gets it; no two clean names become one, since a name that is already aside moves on."""
    name = clean(name) or "_"
    rest = name
    while rest.startswith(ASIDE):
        rest = rest[len(ASIDE) :]
    return ASIDE + name if rest in RESERVED else name


def lens_values(metrics: Iterable[tuple[str, float]], before: str) -> tuple[dict[str, float], int, int]:
    """Values under Lens's names, and how many were left out as not finite and how many collided."""
    values: dict[str, float] = {}
    nonfinite = count = 0
    for name, number in metrics:
        value = float(number)
        if math.isfinite(value):
            values[lens_name(before + name)] = value
            count += 1
        else:
            nonfinite += 1
    return values, nonfinite, count - len(values)


def is_time(time: float) -> bool:
    """Whether Lens can keep this Unix time, in seconds."""
    return 0 <= time <= _LAST_TIME


def requests(pushes: Sequence[Push], steps: int) -> Iterator[list[Push]]:
    """The pushes in order, in lists of at most `steps` steps and MAX_POINTS points, one push at the least."""
    batch: list[Push] = []
    seen: set[int] = set()
    points = 0
    for push in pushes:
        full = len(seen) + (push.step not in seen) > steps or points + len(push.values) > MAX_POINTS
        if batch and full:
            yield batch
            batch, seen, points = [], set(), 0
        batch.append(push)
        seen.add(push.step)
        points += len(push.values)
    if batch:
        yield batch


# --- bodies ----------------------------------------------------------------------------------------------------------


class _Metric(msgspec.Struct):
    name: str
    value: float
    step: int
    timestamp: float
    tags: dict[str, str]


class _Log(msgspec.Struct):
    step: int
    timestamp: float
    data: dict[str, float]


class _Body(msgspec.Struct, omit_defaults=True):
    source: str
    workload_uid: str
    pod_uid: str
    pod_name: str
    run_id: str
    timestamp: float
    metrics: list[_Metric] | None = None
    logs: list[_Log] | None = None


_NO_TAGS: dict[str, str] = {}  # Lens accepts tags and loses them
_encoder = msgspec.json.Encoder()


def encode(form: Literal["metrics", "logs"], header: Header, pushes: Iterable[Push], now: float) -> bytes:
    """The body of a request to `/wandb/metrics` or `/wandb/logs`; `now` is Unix time in seconds.

    Pushes of one step become one, later values winning: Lens copies a step's old row into its history with each push.
    """
    merged: dict[int, tuple[float, dict[str, float]]] = {}
    for push in pushes:
        if push.step in merged:
            merged[push.step][1].update(push.values)
        else:
            merged[push.step] = (push.time, dict(push.values))
    body = _Body("wandb", *header, now)
    if form == "logs":
        body.logs = [_Log(step, time, values) for step, (time, values) in merged.items()]
    else:
        body.metrics = [
            _Metric(name, value, step, time, _NO_TAGS)
            for step, (time, values) in merged.items()
            for name, value in values.items()
        ]
    return _encoder.encode(body)
