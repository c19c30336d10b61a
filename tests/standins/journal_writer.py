"""A session's journal as the trainer and its link use it, killed in the middle of something."""

import os
from pathlib import Path
from typing import Any

from standins.lock_holder import LockHolder
from wayside import row, wire
from wayside.journal import Journal
from wayside.kept import Keeper
from wayside.packing import Frame
from wayside.roots import Root
from wayside.row import Event, Row
from wayside.shelf import SPARE

T0 = 1_767_225_600.0
NAMES = {
    "small": ("a", "b"),
    "other": ("c",),
    "wide": tuple(f"w{number}" for number in range(4000)),  # eight of them fill a segment
}
KINDS = [*NAMES, "event", "text", "large"]


class Writer:
    """A session's journal as the trainer and its link use it. accepted: seq to what `append` took. dropped: seq to the
    points of what it took and had no room for.
    """

    def __init__(self, number: int, root: Root, overflow: Path, locks: LockHolder | None = None) -> None:
        self.id = f"{number:032x}"
        self.record = {"session": self.id, "run": {"id": "r"}, "started": T0}
        self.journal = Journal(root, self.id, wire.json_frame(wire.HELLO, self.record))
        self.keeper = Keeper(str(overflow), self.id, 1 << 30)
        self.folders = [Path(self.journal.shelf.folder.path), Path(self.keeper.path)]
        self.accepted: dict[int, tuple[Any, ...]] = {}
        self.dropped: dict[int, int] = {}
        self.alive = True
        self.checked = 0  # records of it that were found stored and right
        self._locks = locks
        self._held: set[str] = set()
        self.hold_locks()

    def hold_locks(self) -> None:
        """After anything that may have made a folder."""
        for folder in map(str, self.folders):
            if self._locks is not None and os.path.exists(folder) and folder not in self._held:
                self._locks.hold(folder)
                self._held.add(folder)

    def append(self, kind: str, mark: float) -> None:
        journal = self.journal
        seq, dropped = journal.seq, journal.dropped_rows
        if kind in NAMES:
            names = NAMES[kind]
            values = (mark,) * len(names)
            frame, told = Frame(names, values, T0 + mark, int(mark), wire.COMMIT, b""), (names, values)
        else:
            data = {"mark": mark, "text": "x" * {"event": 1, "text": 50_000, "large": 300_000}[kind]}
            encoded = wire.event_frame(T0 + mark, int(mark), row.ALERT, data)
            frame, told = Frame(None, (), T0 + mark, int(mark), 0, encoded), (row.ALERT, data)
        assert journal.append(frame)
        assert journal.seq == seq + 1
        if journal.dropped_rows == dropped:
            self.accepted[seq] = told
        else:
            self.dropped[seq] = len(frame.values)

    def keep(self) -> None:
        """As the link does without a collector."""
        if self.journal.shelf.sealed:
            self.journal.shelf.hand_to(self.keeper.keep)
        self.follow()

    def follow(self) -> None:
        if self.journal.segment is not None:
            self.keeper.follow(self.journal.segment)
        self.hold_locks()

    def let_go(self, seq: int) -> None:
        """As the link does when it is told what is stored."""
        self.keeper.let_go(seq)
        self.journal.shelf.let_go(seq)

    def close(self, mark: float) -> None:
        """As the run's end, whose last words have room beyond the limits."""
        self.journal.shelf.spare = SPARE
        self.append("event", mark)
        self.keeper.close()
        self.journal.close()
        self._gone()

    def kill(self, torn: str) -> None:
        """SIGKILL in the middle of something: what the files hold is left as it is at that point."""
        getattr(self, f"_tear_{torn}")()
        self.keeper.abandon()
        self.journal.abandon()
        self._gone()

    def _gone(self) -> None:
        self.alive = False
        for folder in self._held if self._locks is not None else ():
            self._locks.drop(folder)

    # --- what a kill leaves half done -----------------------------------------------------------------------------

    def _tear_nothing(self) -> None:
        """Between two calls."""

    def _tear_row(self) -> None:
        """A row's bytes, and not yet the position that covers them."""
        segment = self.journal.segment
        if segment is not None:
            frame = wire.row_frame(0, T0, 1, (0.25, 0.25))
            end = min(segment.size, segment.position + len(frame))
            segment.map[segment.position : end] = frame[: end - segment.position]

    def _tear_seal(self) -> None:
        """A segment sealed, and no next one begun."""
        if self.journal.segment is not None:
            self.journal.segment.seal(self.journal.seq)

    def _tear_header(self) -> None:
        """The next segment begun but for its magic."""
        prepared = self.journal.shelf.take(1000)
        if prepared is not None:
            header = wire.SegmentHeader(500, False, 77, self.journal.seq, self.journal.points, bytes(16), bytes(16))
            prepared.map[8 : wire.HEADER_SIZE] = header.pack()[8:]

    def _tear_schema(self) -> None:
        """A schema announced, and no row of it."""
        self.journal.lock.acquire()
        self.journal._announce(("never", "used"), 64)

    def _tear_copy(self) -> None:
        """More bytes in the copy on disk than its position says."""
        self.follow()
        segment = self.journal.segment
        if segment is not None:
            with (self.folders[1] / f"{segment.number:08d}.seg").open("r+b") as copy:
                copy.seek(segment.position)
                copy.write(wire.row_frame(0, T0, 1, (0.25, 0.25))[:40])

    def _tear_copy_header(self) -> None:
        """A copy on disk that ends within its header."""
        self.follow()
        if self.folders[1].exists():
            (self.folders[1] / "00000099.seg").write_bytes(wire.MAGIC + bytes(20))
            (self.folders[1] / "00000098.seg").write_bytes(b"")

    def _tear_move(self) -> None:
        """A segment moved to disk, and its own file still there."""
        if self.journal.shelf.sealed:
            path = self.journal.shelf.sealed[0].path
            os.link(path, path + ".again")
            self.keep()
            os.rename(path + ".again", path)


TEARS = sorted(name.removeprefix("_tear_") for name in vars(Writer) if name.startswith("_tear_"))


def holds(record: Row | Event) -> tuple[Any, ...]:
    """What a stored row or event holds, as `Writer.accepted` has it."""
    if isinstance(record, Row):
        assert record.step == record.values[0] == record.time - T0
        return record.names, record.values
    return record.kind, record.data
