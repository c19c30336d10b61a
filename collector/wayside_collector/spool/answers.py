"""What anybody may ask of a spool, from any thread. Nothing here changes anything but the copies of what is damaged."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import accounts, index, letters, media_index
from . import losses as lost
from .batch import Extent, SessionRow, Stored
from .database import Database
from .files import Damaged, Files
from .letters import Choice, KeptLetter

MAX_SET_ASIDE = 64  #: damaged blocks kept for a person to look at; the counter has them all
MAX_REMEMBERED = 4096  #: damaged blocks known as such; beyond it one may be counted twice


class Answers:
    """A spool's reading half: each question a short read, which raises SpoolError. damaged: blocks and kept values that
    failed their checksum.
    """

    def __init__(self, folder: Path, files: Files) -> None:
        self.damaged = 0
        self._folder = folder
        self._files = files
        self._database = Database(folder / "spool.db")
        self._set_aside: set[Extent] = set()

    def read(self, extent: Extent) -> bytes:
        """A part of a batch; raises Damaged, or OSError when it is gone."""
        try:
            return self._files.read(extent)
        except Damaged:
            if extent not in self._set_aside:
                self._keep_damaged(extent)
            raise

    def _keep_damaged(self, extent: Extent) -> None:
        self.damaged += 1
        if len(self._set_aside) >= MAX_REMEMBERED:
            self._set_aside.clear()
        self._set_aside.add(extent)
        if self.damaged > MAX_SET_ASIDE:
            return
        folder = self._folder / "damaged"
        with contextlib.suppress(OSError):  # what cannot be kept is still counted
            folder.mkdir(exist_ok=True)
            (folder / f"{extent.file:08d}-{extent.offset}.block").write_bytes(self._files.read_raw(extent))

    def batches(self, after: int, limit: int, session: int | None = None) -> list[Stored]:
        return self._database.read(lambda db: index.batches(db, after, limit, session))

    def batches_of_file(self, file: int) -> list[Stored]:
        return self._database.read(lambda db: list(index.batches_of_file(db, file)))

    def batches_of_ids(self, ids: Iterable[int]) -> list[Stored]:
        return self._database.read(
            lambda db: [one for id in ids for one in index.batches(db, id - 1, 1) if one.id == id]
        )

    def media_held(self, sessions: Iterable[int] | None = None) -> media_index.Held:
        """Bytes of media files, of these sessions or of all."""
        return self._database.read(lambda db: media_index.held(db, sessions))

    def count_batches(self) -> int:
        return self._database.read(index.count_batches)

    def last_batch(self) -> int:
        return self._database.read(index.last_batch)

    def sessions(self) -> list[SessionRow]:
        return self._database.read(index.sessions)

    def schemas(self, session: int) -> dict[int, bytes]:
        """Schema frames of a session, by number."""
        return self._database.read(lambda db: index.schemas(db, session))

    def lost_by_client(self, session: int) -> tuple[int, int]:
        """Rows and points of a session that are booked as lost at the client."""
        return self._database.read(lambda db: lost.of_session(db, session))

    def client_lost(self) -> tuple[int, int]:
        """Rows and points that clients lost, ever."""
        return self._database.read(lost.total)

    def client_losses(self, limit: int) -> list[lost.Lost]:
        """The latest of those, newest first."""
        return self._database.read(lambda db: lost.newest(db, limit))

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of any of the spool's tables, in a short transaction."""
        return self._database.read(lambda db: db.execute(statement, values).fetchall())

    def sink(self, name: str) -> tuple[int, str] | None:
        """A sink's position and books, or None when it never committed; 0 and "" when that is damaged."""
        found = self._database.read(lambda db: accounts.sink(db, name))
        return (found.position, found.books) if found is not None else None

    def kind_of(self, sink: str) -> str | None:
        """What kind of sink committed last under this name; None when it did not say."""
        found = self._database.read(lambda db: accounts.sink(db, sink))
        return found.kind if found is not None else None

    def sink_kinds(self) -> dict[str, str | None]:
        """Every sink that ever committed, and its kind."""
        return self._database.read(accounts.kinds)

    def cursors(self, sink: str) -> dict[int, str]:
        """Session to text, "" for one that is damaged."""
        return self._database.read(lambda db: accounts.cursors(db, sink))

    def dead_letters(self, sink: str) -> int:
        """How many letters of a sink are dead."""
        return self.count_letters(Choice(sink, waits=False))

    def letters(self, choice: Choice, limit: int, after: int = 0) -> list[KeptLetter]:
        """The oldest of these letters, with a number above `after`."""
        return self._database.read(lambda db: letters.read(db, choice, limit, after))

    def count_letters(self, choice: Choice) -> int:
        return self._database.read(lambda db: letters.count(db, choice))
