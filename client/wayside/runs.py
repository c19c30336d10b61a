"""A run as the training process holds it: `log()` and everything said beside it.

`Run.log` is the hot path of the whole product, written out in one piece: a dictionary of plain floats is packed into
the journal's mapped segment in about a microsecond, without a system call (bench/log.py). Everything else, from numpy
scalars to a forked child's first row, takes the slow way below it.
"""

import os
import struct
import sys
import time
import weakref
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from . import row, wire
from .journal import SPARE, Frame, Journal
from .keyvalues import KeyValues, plain
from .link import Link, Plan
from .segments import find_roots
from .values import EXACT, Taken, take

MAX_TOLD = 50  #: different things told to the user by one run; a training log is not ours to fill

_FLOAT = frozenset((float,))
_COMMIT = wire.COMMIT << 40
_AUTO = wire.AUTO_STEP << 40
_POSITION = wire.POSITION_WORD
_time = time.time

_runs: "weakref.WeakSet[Run]" = weakref.WeakSet()


class Identity(NamedTuple):
    """What a run is called, fixed at `init`; see the session record in `docs/wire-protocol.md`."""

    id: str
    name: str
    project: str
    entity: Optional[str]
    group: Optional[str]
    job_type: Optional[str]
    tags: Tuple[str, ...]
    notes: Optional[str]
    resume: Optional[str]


class Surroundings(NamedTuple):
    """What a run's sessions share: the record's fields beside the run, and what their link needs.

    enabled: False for mode "disabled": everything is accepted and nothing kept.
    """

    enabled: bool
    fields: Dict[str, Any]
    addresses: List[str]
    overflow: str
    send: bool
    about: Optional[Callable[[], Dict[str, Any]]]
    url: Optional[str]
    quiet: bool


class Run:
    """One experiment, as seen from one process. Made by `wayside.init`."""

    def __init__(self, identity: Identity, surroundings: Surroundings, config: Any = None) -> None:
        self._identity = identity
        self._surroundings = surroundings
        self._journal: Optional[Journal] = None
        self._link: Optional[Link] = None
        self._session = ""
        self._step = 0
        self._logged = False
        self._finished = False
        self._told: Dict[str, str] = {}
        self._refused: Dict[str, int] = {}
        self._nowhere = 0  # rows that had no journal to go to
        self._on_finish: Callable[[Run], None] = lambda run: None
        self._config = KeyValues(lambda found, gone: self._event(row.CONFIG, {"set": found, "remove": gone}))
        self._summary = KeyValues(lambda found, gone: self._event(row.SUMMARY, {"set": found, "remove": gone}))
        self._begin_session()
        if config is not None:
            self._config.update(config)
        _runs.add(self)

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The run's id: the same on every rank and over restarts."""
        return self._identity.id

    @property
    def name(self) -> str:
        return self._identity.name

    @property
    def project(self) -> str:
        return self._identity.project

    @property
    def entity(self) -> Optional[str]:
        return self._identity.entity

    @property
    def group(self) -> Optional[str]:
        return self._identity.group

    @property
    def job_type(self) -> Optional[str]:
        return self._identity.job_type

    @property
    def tags(self) -> Tuple[str, ...]:
        return self._identity.tags

    @property
    def notes(self) -> Optional[str]:
        return self._identity.notes

    @property
    def url(self) -> Optional[str]:
        """Where to look at the run: the collector's page, or None while no collector is known."""
        return (self._link.url if self._link is not None else None) or self._surroundings.url

    @property
    def dir(self) -> str:
        """A folder for the run's own files below WAYSIDE_DIR, made when first asked for."""
        path = os.path.join(self._surroundings.overflow, "runs", self.id)
        os.makedirs(path, exist_ok=True)
        return path

    @property
    def step(self) -> int:
        """The step the next `log()` without a step will have."""
        return self._step

    @property
    def config(self) -> KeyValues:
        return self._config

    @property
    def summary(self) -> KeyValues:
        return self._summary

    # --- logging -------------------------------------------------------------------------------------------------

    def log(  # noqa: C901 -- one piece for speed: each call taken out of it costs a tenth of it (bench/log.py)
        self, data: Dict[str, Any], step: Optional[int] = None, commit: Optional[bool] = None
    ) -> None:
        """Log one row: names and numbers of this moment.

        data: names to numbers, scalar arrays or tensors, text, or dictionaries of these. step: a whole number;
        without one the run's own counter. commit: whether this closes the step, by default True without a step and
        False with one; every call is a row of its own in any case, and rows of one step are merged where they arrive.
        Never waits and never raises, except TypeError on a run's first call when `data` is no dictionary.
        """
        journal = self._journal
        if journal is not None and type(data) is dict and (step is None or type(step) is int):
            values = data.values()
            if _FLOAT.issuperset(map(type, values)) or _are_exact(values):
                with journal.lock:
                    ready = journal.ready.get(tuple(data))
                    segment = journal.segment
                    if ready is not None and segment is not None and not journal.writing:
                        pack_into, size, head, width = ready
                        words = segment.words
                        position = words[_POSITION]
                        end = position + size
                        if end <= segment.size:
                            try:
                                journal.writing = True
                                if step is None:
                                    at = self._step
                                    head |= _AUTO
                                    following = at if commit is False else at + 1
                                else:
                                    at = step
                                    following = at + 1 if commit else at
                                if following > at:
                                    head |= _COMMIT
                                pack_into(segment.map, position, head, _time(), at, *values, head)
                                words[_POSITION] = end
                                journal.seq += 1
                                journal.points += width
                                if following > self._step:
                                    self._step = following
                            except struct.error:
                                ready = None  # the dictionary changed meanwhile, or the step needs more than 64 bits
                            except BaseException:
                                journal.recount()
                                raise
                            finally:
                                journal.writing = False
                            if journal.side:
                                journal.drain()
                            if ready is not None:
                                return
        self._log_slowly(data, step, commit)

    def _log_slowly(self, data: Any, step: Any, commit: Optional[bool]) -> None:
        if not self._surroundings.enabled:
            return
        first, self._logged = not self._logged, True
        if not isinstance(data, Mapping):
            if first:
                raise TypeError(f"wayside.log() takes a dictionary of names and numbers, not {type(data).__name__}")
            self._refuse(
                "data", "not a dictionary", f"log() takes a dictionary of names and numbers, not {type(data).__name__}"
            )
            return
        now = _time()
        taken = take(data)
        for name, why in taken.refused:
            self._refuse(name, why, f"{name!r} is not kept: {why}")
        for name in taken.rounded:
            self._tell(f"rounded {name}", f"{name!r} is beyond 2**53 and is rounded to the nearest 64-bit float")
        try:
            self._write(taken, now, step, commit)
        except Exception as problem:  # noqa: BLE001 -- whatever goes wrong here, training goes on
            self._refuse("log", "error in the client", f"a row is not kept: {type(problem).__name__}: {problem}")

    def _write(self, taken: Taken, now: float, step: Any, commit: Optional[bool]) -> None:
        journal = self._journal or self._begin_session()
        if journal is None:
            self._nowhere += 1
            return
        with journal.lock:
            at, flags = self._take_step(step, commit)
            if taken.names or not taken.texts:
                journal.append(Frame(taken.names, taken.values, now, at, flags, b""))
            if taken.texts:
                encoded = wire.event_frame(now, at, row.TEXT, {"values": taken.texts})
                journal.append(Frame(None, (), now, at, 0, encoded))

    def _take_step(self, step: Any, commit: Optional[bool]) -> Tuple[int, int]:
        """The row's step and flags, and the counter moved on; the journal's lock is held."""
        flags = 0
        if step is not None:
            try:
                step = step.__index__()
                if not -(1 << 63) < step < 1 << 63:
                    raise ValueError("a step must fit 64 bits")
            except Exception as problem:  # noqa: BLE001 -- a step may be any object
                self._refuse(
                    "step",
                    "not a whole number",
                    f"step={step!r:.40} is not a whole number ({problem}): the run's own counter",
                )
                step = None
        if step is None:
            step = self._step
            flags = wire.AUTO_STEP
            commit = commit is not False
        following = step + 1 if commit else step
        self._step = max(self._step, following)
        return step, flags | (wire.COMMIT if commit else 0)

    # --- said beside the rows ------------------------------------------------------------------------------------

    def alert(self, title: str, text: str = "", level: Any = "INFO", wait_duration: Any = 0) -> None:
        """Tell people: level INFO, WARN or ERROR; the same title within `wait_duration` seconds is not sent on."""
        seconds = (
            wait_duration.total_seconds() if hasattr(wait_duration, "total_seconds") else float(wait_duration or 0)
        )
        shown = str(getattr(level, "value", level)).upper()
        self._event(row.ALERT, {"title": str(title), "text": str(text), "level": shown, "wait": seconds})

    def define_metric(
        self, name: str, step_metric: Optional[str] = None, step_sync: Optional[bool] = None, **options: Any
    ) -> None:
        """Say how a metric is to be shown (wandb's `define_metric`): its x axis, its summary (`summary="min"`),
        `hidden`, `goal`.
        """
        told = {key: value for key, value in options.items() if value is not None}
        if step_metric is not None:
            told["step_metric"] = str(getattr(step_metric, "name", step_metric))
        if step_sync is not None:
            told["step_sync"] = step_sync
        self._event(row.DEFINE_METRIC, dict(plain(told), name=name))

    def finish(self, exit_code: Optional[int] = None) -> None:
        """End the run. Returns at once where the collector reads the journal; else it waits at most a few seconds for
        the journal to be sent or moved. What is left stays on disk or in memory for the collector: nothing is lost by
        not waiting.
        """
        if self._finished:
            return
        self._finished = True
        link, journal = self._link, self._journal
        if link is not None and journal is not None:
            link.settle()
            counts = self._counts()
            if counts:
                self._event(row.CLIENT, counts, SPARE)
            self._event(row.FINISH, {"exit_code": int(exit_code or 0)}, SPARE)
            self._journal = None
            link.finish()
        self._on_finish(self)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: Any, problem: Any, trace: Any) -> None:
        code = problem.code if isinstance(problem, SystemExit) else None
        self.finish(exit_code=code if isinstance(code, int) else int(kind is not None))

    # --- sessions ------------------------------------------------------------------------------------------------

    def _begin_session(self) -> Optional[Journal]:
        """A journal and a link of this process's own: at `init`, and at a forked child's first row."""
        around = self._surroundings
        if not around.enabled or self._finished:
            if self._finished:
                self._tell("finished", f"run {self.id} is finished: what is logged after that is not kept")
            return None
        self._session = os.urandom(16).hex()
        hello = dict(around.fields, session=self._session, run=_without_none(self._identity._asdict()))
        hello.update(pid=os.getpid(), started=_time())
        frame = wire.json_frame(wire.HELLO, hello)
        problems: List[str] = []
        for root in find_roots(around.addresses[0] if around.addresses else None, around.overflow):
            try:
                journal = Journal(root, self._session, frame)
                break
            except OSError as problem:
                problems.append(f"{root.path}: {problem}")
        else:
            self._tell("nowhere", "no place for the journal, so nothing is kept: " + "; ".join(problems))
            return None
        plan = Plan(hello, around.addresses, around.overflow, around.send, around.about, self._counts, self._tell)
        self._journal = journal
        self._link = Link(journal, plan)
        return journal

    def _after_fork(self) -> None:
        """In a forked child: the journal, its lock and its link are the parent's."""
        if self._journal is not None:
            self._journal.abandon()
        if self._link is not None:
            self._link.abandon()
        self._journal = self._link = None
        self._surroundings = self._surroundings._replace(about=None)  # the parent has said what the run is

    def _event(self, kind: str, data: Dict[str, Any], spare: int = 0) -> None:
        journal = self._journal or self._begin_session()
        if journal is None:
            return
        now = _time()
        try:
            encoded = wire.event_frame(now, self._step, kind, data)
        except (wire.WireError, ValueError, TypeError, RecursionError) as problem:
            self._refuse(kind, "too large or not JSON", f"a {kind} could not be kept: {problem}")
            return
        journal.append(Frame(None, (), now, self._step, 0, encoded), spare)

    # --- counters ------------------------------------------------------------------------------------------------

    def _counts(self) -> Dict[str, Any]:
        """What the client itself dropped or refused so far; empty when nothing was."""
        counts: Dict[str, Any] = {}
        if self._refused:
            counts["refused"] = dict(self._refused)
        if self._nowhere:
            counts["no_journal_rows"] = self._nowhere
        journal = self._journal
        if journal is not None and journal.dropped_rows:
            counts["dropped"] = {"rows": journal.dropped_rows, "points": journal.dropped_points}
        if journal is not None and journal.made_late:
            counts["segments_made_late"] = journal.made_late
        return counts

    def _refuse(self, name: str, why: str, message: str) -> None:
        kind = why if len(self._refused) < MAX_TOLD or why in self._refused else "other"
        self._refused[kind] = self._refused.get(kind, 0) + 1
        self._tell(f"refused {name}", message)

    def _tell(self, key: str, message: str) -> None:
        """Say something to the user on stderr, once for each key."""
        if key in self._told or len(self._told) >= MAX_TOLD:
            return
        self._told[key] = message
        if not self._surroundings.quiet:
            sys.stderr.write(f"wayside: {message}\n")


def _are_exact(values: Any) -> bool:
    """Whether all are floats, or whole numbers a 64-bit float holds exactly."""
    for value in values:
        kind = type(value)
        if kind is not float and (kind is not int or not -EXACT <= value <= EXACT):
            return False
    return True


def _without_none(fields: Mapping[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _forget_parents_sessions() -> None:
    for run in list(_runs):
        run._after_fork()


os.register_at_fork(after_in_child=_forget_parents_sessions)
