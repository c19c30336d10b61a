"""What media may never do to a training: hold up other threads' `log()`, or the end of the run, or raise there."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import wayside
from client.conftest import Place
from client.media.heard import finished, media, of_kind, refused
from wayside import shelf as shelves
from wayside.media import writer as writers
from wayside.media.medium import Encoded, Medium

GREY = np.zeros((2, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def run(place: Place) -> wayside.Run:
    return wayside.init(project="p")


class Asking(Medium):
    """Looks, when it is left for the writer, whether another thread may log then."""

    _type = "image"

    def __init__(self, run: wayside.Run) -> None:
        self.run = run
        self.others_logged: list[bool] = []

    def _held(self) -> int:
        other = threading.Thread(target=self.run.log, args=({"b": 2.0},), daemon=True)
        other.start()
        other.join(10)
        self.others_logged.append(not other.is_alive())
        return 10

    def _encode(self) -> Encoded:
        return Encoded({}, "png", b"x")


def test_other_threads_log_while_a_medium_is_handed_over(run: wayside.Run, place: Place) -> None:
    """Whatever that takes (an import, a thread's start, a table's cells), it does not hold the journal's lock."""
    asking = Asking(run)
    run.log({"a": 1.0, "img": asking})
    assert asking.others_logged == [True]
    found = finished(place)
    assert [row.metrics for row in found.rows] == [{"a": 1.0}, {"b": 2.0}]


def test_a_log_from_within_the_writers_begin(run: wayside.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler or `__del__` that logs there, and a picture of another thread at that moment, wait for nothing."""
    begin = writers._begin
    entered, other = threading.Event(), threading.Event()

    def slow(recorder: wayside.Run) -> writers.Writer:
        entered.set()
        other.wait(0.5)  # the other thread is at the same place, or would be
        recorder.log({"from": 1.0})
        return begin(recorder)

    monkeypatch.setattr(writers, "_begin", slow)

    def log_picture() -> None:
        assert entered.wait(30)
        run.log({"img": wayside.Image(GREY)})

    found = [wayside.media.recognise.Found("grad", wayside.Histogram([1, 2]))]
    threads = [
        threading.Thread(target=writers.hand_over, args=(run, found, time.time(), 1), daemon=True),
        threading.Thread(target=log_picture, daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [thread.is_alive() for thread in threads] == [False, False]


def test_no_thread_can_be_started(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Media are refused then, with the reason; the run ends at once, and raises nothing."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "wayside-media":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(2):
        wayside.log({"a": 1.0, "img": wayside.Image(GREY)})
    assert wayside.run is not None
    assert wayside.run._media is not None
    assert not wayside.run._media._queue
    found = finished(place)
    assert len(found.rows) == 2
    assert refused(found) == {"media: no thread could be started for it (can't start new thread)": 2}


def test_a_part_that_fails_at_the_end(run: wayside.Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is counted and told; the script goes on, and what comes after that part is there."""
    Path(run.dir, "own.txt").write_text("x")

    def fail(folder: str) -> None:
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(run, "_save_own", fail)
    wayside.log({"img": wayside.Image(GREY)})
    found = finished(place)
    shutil.rmtree(run.dir)
    assert len(media(found)) == 1
    assert list(refused(found)) == ["at the end: files of the run's own folder"]
    assert len(of_kind(found, "finish")) == 1


def test_segments_made_ahead_are_no_rows(run: wayside.Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a small disk they alone would be half of the journal: media go on until rows have filled it so far."""
    assert run._journal is not None
    shelf = run._journal.shelf
    shelf.prepare(shelves.MAX_PREPARED)
    assert shelf.held > 4 * shelves.SEGMENT_SIZE
    monkeypatch.setattr(writers, "room", lambda path, held: 6 * shelves.SEGMENT_SIZE)
    monkeypatch.setattr(writers, "PATIENCE", 0.0)
    wayside.log({"img": wayside.Image(GREY)})
    assert len(media(finished(place))) == 1


def test_a_full_journal_is_waited_for_once(run: wayside.Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody reads it: what found no room for so long says so for all media behind it, also at the end."""
    monkeypatch.setattr(writers, "room", lambda path, held: 0)
    monkeypatch.setattr(writers, "LAST_PATIENCE", 1.0)
    for _ in range(200):
        wayside.log({"img": wayside.Image(GREY)})
    wayside.finish()
    counts = {why: count for why, count in run.notices.refused.items() if "no room" in why}
    assert sum(counts.values()) == 200
