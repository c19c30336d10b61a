"""Beginning a session: its record, a place for its journal, and its link. One process of a run has one at a time."""

import os
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from . import wire
from ._version import __version__
from .handover import Plan
from .journal import Journal
from .link import Link
from .media.place import find_media_root
from .roots import find_roots
from .segments import boot_id
from .settings import SHARED_MEMORY

MAX_RECORD = 32 << 10  #: bytes of the session record, which opens each segment: an eighth of it at most

_WHOLE = ("session", "id", "addresses", "dir", "media_root", "boot")  # no use when cut, and short by their nature


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

    enabled: False for mode "disabled": everything is accepted and nothing kept. detect: finds out which framework a run
    of this name and config uses.
    """

    enabled: bool
    fields: Dict[str, Any]
    addresses: List[str]
    overflow: str
    kept_limit: int
    send: bool
    about: Optional[Callable[[], Dict[str, Any]]]
    url: Optional[str]
    quiet: bool
    shared_memory: str = SHARED_MEMORY
    detect: Optional[Callable[[Identity, Mapping[str, Any]], Dict[str, Any]]] = None
    debug: bool = False


class Session(NamedTuple):
    """One connected process of a run. link: None where no thread could be started; the journal is complete all the
    same, and is read when the process has ended.
    """

    journal: Journal
    link: Optional[Link]


def begin_session(
    identity: Identity,
    around: Surroundings,
    counts: Callable[[], Dict[str, Any]],
    tell: Callable[[str, str], None],
    config: Callable[[], Mapping[str, Any]] = dict,
) -> Optional[Session]:
    """A session with a journal of its own; None, and the user told why, when there is no place for one.

    counts: what the client itself dropped or refused so far. tell: says something to the user, once for each key.
    config: the run's, as it is when that is asked.
    """
    detect = around.detect
    hello = new_record(identity, around.fields)
    journal = begin_journal(hello, around.addresses, around.overflow, tell, around.shared_memory)
    if journal is None:
        return None
    plan = Plan(
        hello,
        around.addresses,
        around.overflow,
        around.kept_limit,
        around.send,
        around.about,
        counts,
        tell,
        around.shared_memory,
        None if detect is None else lambda: detect(identity, config()),
        around.debug,
    )
    try:
        return Session(journal, Link(journal, plan))
    except (OSError, RuntimeError) as problem:
        tell("link", f"no thread could be started ({problem}): what is logged is kept, and read when the process ends")
        return Session(journal, None)


def common_fields(place: Dict[str, Any], mode: str, addresses: List[str], overflow: str) -> Dict[str, Any]:
    """What the records of all sessions of this process say beside their run. place: where it stands (`identity`)."""
    return dict(
        place,
        wayside=__version__,
        origin="wayside",
        mode=mode,
        addresses=[os.path.abspath(address) for address in addresses],
        dir=overflow,
        media_root=find_media_root(addresses, overflow),
        boot=boot_id().hex(),
    )


def new_record(identity: Identity, fields: Dict[str, Any]) -> Dict[str, Any]:
    """The record of a session that begins now."""
    record = dict(fields, session=os.urandom(16).hex(), pid=os.getpid(), started=time.time())
    record["run"] = {key: value for key, value in identity._asdict().items() if value is not None}
    return fit(record)


def begin_journal(
    hello: Dict[str, Any],
    addresses: List[str],
    overflow: str,
    tell: Callable[[str, str], None],
    shared_memory: str = SHARED_MEMORY,
) -> Optional[Journal]:
    """A session's journal in the best place that takes it; None, and the user told why, when none does."""
    problems: List[str] = []
    frame = wire.json_frame(wire.HELLO, hello)
    for root in find_roots(addresses[0] if addresses else None, overflow, shared_memory):
        try:
            journal = Journal(root, hello["session"], frame)
        except OSError as problem:
            problems.append(f"{root.path}: {problem.strerror or problem}")
            continue
        if problems and not root.memory:
            slow = f"the journal lies on a disk, in {root.path}, where a burst may lose rows"
            tell("memory", f"{slow}, since memory has no place for it ({'; '.join(problems)}); ask `wayside doctor`")
        return journal
    tell("nowhere", f"no place for the journal, so nothing is kept for now: {'; '.join(problems)}; set WAYSIDE_DIR")
    return None


def fit(record: Dict[str, Any]) -> Dict[str, Any]:
    """The record with its texts and lists cut so far that it stays within MAX_RECORD."""
    most = MAX_RECORD
    while len(wire.json_frame(wire.HELLO, record)) > MAX_RECORD and most > 1:
        most //= 2
        record = _cut(record, most)
    return record


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= most else value[: most - 1] + "…"
    if isinstance(value, Mapping):
        return {key: inner if key in _WHOLE else _cut(inner, most) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cut(inner, most) for inner in value[:most]]
    return value
