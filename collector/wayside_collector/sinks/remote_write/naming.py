"""Under which names metrics are pushed, and what must outlive a restart for that: pure but for its own state.

As on `/metrics`, of two metrics whose names become one the first to come has it, and the other gets a suffix made from
its own name. Who came first is kept, as are the names of each session that has not ended: its series are marked stale
at its end.
"""

import logging
from collections.abc import Iterable, Mapping

import msgspec

from ..names import candidates, plain_name, sound
from ..run_info import RUN_INFO, RUN_LAST_STEP

MAX_NAMES = 20_000  #: names whose holders are kept, some 2 MB; beyond it a name always has its suffix
MAX_ENDING = 10_000  #: sessions whose names are kept until they end, a thousand names each
MAX_OF_SESSION = 1000  #: names of a session that end with a marker; the others go after five minutes, by themselves

NAMES = "names"
_SESSION = "session/"

log = logging.getLogger(__name__)
_pack = msgspec.msgpack.encode


class Naming:
    """Names given, and the names of open sessions."""

    def __init__(self, state: Mapping[str, bytes]) -> None:
        self.holders: dict[str, str] = {RUN_INFO: "", RUN_LAST_STEP: ""}
        self.open: dict[str, dict[str, None]] = {}
        self.damaged = 0
        self._named = False  # since `take_changes`
        self._grown: set[str] = set()  # open sessions with new names since then
        self._gone: set[str] = set()
        for key, text in state.items():
            self._restore(key, text)
        self._given = {original: name for name, original in self.holders.items()}

    def _restore(self, key: str, text: bytes) -> None:
        try:
            if key == NAMES:
                self.holders.update(msgspec.msgpack.decode(text, type=dict[str, str]))
            elif key.startswith(_SESSION):
                names = msgspec.msgpack.decode(text, type=list[str])
                self.open[key.removeprefix(_SESSION)] = dict.fromkeys(names)
        except msgspec.MsgspecError as problem:
            log.warning("what was kept under %.80s cannot be read (%s) and is left out", key, problem)
            self.damaged += 1

    def name(self, original: str) -> str:
        """What a metric of a training script is called."""
        original = sound(original)
        found = self._given.get(original)
        if found is not None:
            return found
        names = candidates(plain_name(original), "gauge", original)
        if len(self.holders) >= MAX_NAMES:
            next(names)
            return next(names)
        name = next(name for name in names if name not in self.holders)
        self.holders[name] = original
        self._given[original] = name
        self._named = True
        return name

    def saw(self, session: str, names: Iterable[str]) -> None:
        """This session has logged these."""
        known = self.open.get(session)
        if known is None:
            if len(self.open) >= MAX_ENDING:
                self.forget(next(iter(self.open)))
            known = self.open[session] = {}
        before = len(known)
        for name in names:
            if name not in known and len(known) < MAX_OF_SESSION:
                known[name] = None
        if len(known) != before:
            self._grown.add(session)

    def forget(self, session: str) -> None:
        """A session has ended, and its series were marked."""
        if self.open.pop(session, None) is not None:
            self._grown.discard(session)
            self._gone.add(session)

    def take_changes(self) -> dict[str, bytes | None]:
        """What has changed of the sink's kept state since this was asked last, to be committed: packed once a send,
        and not once a name.
        """
        changes: dict[str, bytes | None] = dict.fromkeys((_SESSION + session for session in self._gone), None)
        for session in self._grown:
            changes[_SESSION + session] = _pack([sound(name) for name in self.open[session]])
        if self._named:
            changes[NAMES] = _pack(self.holders)
        self._named, self._grown, self._gone = False, set(), set()
        return changes
