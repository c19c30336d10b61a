"""What the writer does once a transaction is on disk, and how much may wait for it."""

import errno
import os
import threading
from pathlib import Path

import pytest
from spool.making import T0, WITHIN, begin, make_batch, opened, put
from wayside_collector.spool import Files, SpoolError
from wayside_collector.spool import writer as writers


class Undying(Files):
    """Files that cannot be removed while `refuses`. threads: those in which it was tried."""

    refuses = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.threads: set[str] = set()

    def unlink(self, number: int) -> None:
        self.threads.add(threading.current_thread().name)
        if self.refuses:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        super().unlink(number)


def test_a_file_that_cannot_be_removed_is_told(tmp_path: Path) -> None:
    """Whoever keeps the limits hears of it, instead of waiting for ever; the spool goes on, and only its own thread
    touches the files.
    """
    made: list[Undying] = []

    def make(folder: Path) -> Undying:
        made.append(Undying(folder))
        return made[0]

    with opened(tmp_path, make_files=make) as spool:
        session = begin(spool).key
        (stored,) = put(spool, make_batch(session, 0))
        assert stored.rows is not None
        with pytest.raises(SpoolError, match="could not be tidied"):
            spool.drop(stored.rows.file).result(WITHIN)
        assert made[0].threads == {"spool"}
        put(spool, make_batch(session, stored.next_seq))
        made[0].refuses = False


def test_sessions_that_are_over_are_not_held_in_memory(tmp_path: Path) -> None:
    """Their records and schemas are read again should they come again."""
    with opened(tmp_path) as spool:
        for number in range(1, 20):
            session = begin(spool, number).key
            put(spool, make_batch(session, 0))
            spool.end_session(session, T0).result(WITHIN)
        assert spool._writer is not None
        assert not spool._writer._placer._contexts
        put(spool, make_batch(session, 100))


def test_work_that_waits_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs makes nobody run out of memory: beyond the limit it is refused, and what waited is done."""
    monkeypatch.setattr(writers, "MAX_QUEUE", 3)
    going, held = threading.Event(), threading.Event()
    with opened(tmp_path) as spool:
        assert spool._writer is not None

        def hang(db: object, stored: object) -> None:
            going.set()
            held.wait(WITHIN)

        hanging = spool._writer.hand_in((), hang)
        assert going.wait(WITHIN)
        waiting = [spool.keep_state("owner", [("key", b"1")]) for _ in range(4)]
        with pytest.raises(SpoolError, match="the limit"):
            waiting[3].result(WITHIN)
        held.set()
        for future in (hanging, *waiting[:3]):
            future.result(WITHIN)
