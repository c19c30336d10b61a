"""The writer's bounds: its queue, the journal it shares with rows, the media folder, and the end of a run."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standins.journal_reading import read_journal
from waiting import until
from wayside import wire
from wayside.journal import Journal
from wayside.media import place as places
from wayside.media import writer as writers
from wayside.media.medium import Encoded, Medium
from wayside.media.place import Place
from wayside.media.recognise import Found
from wayside.media.writer import MAX_WAITING, QUEUE_LIMIT, Writer
from wayside.roots import Root

SESSION = "0123456789abcdef" * 2
HELLO = wire.json_frame(wire.HELLO, {"session": SESSION})


class Gated(Medium):
    """Is encoded when the gate opens. held: bytes it says that it holds."""

    _type = "image"

    def __init__(self, gate: threading.Event, held: int = 10, size: int = 100) -> None:
        self.gate, self.held, self.size = gate, held, size

    def _held(self) -> int:
        return self.held

    def _encode(self) -> Encoded:
        assert self.gate.wait(30)
        return Encoded({}, "png", bytes(self.size))


class Rig:
    """A writer on a journal in memory, without a link. refused: reason to message."""

    def __init__(self, memory: Path, folder: Path) -> None:
        self.journal = Journal(Root(str(memory), True), SESSION, HELLO)
        self.place = Place(str(folder), SESSION)
        self.refused: dict[str, list[str]] = {}
        self.stored = 0
        self.gate = threading.Event()
        self.writer = Writer(self.journal, self.place, self._refuse, lambda: self.stored)
        self.folder = memory / "journals" / SESSION

    def _refuse(self, why: str, message: str) -> None:
        self.refused.setdefault(why, []).append(message)

    def put(self, **named: Any) -> None:
        self.writer.put(Found("x", Gated(self.gate, **named)), 1.0, 0)

    def events(self) -> list[dict[str, Any]]:
        return [event.data for event in read_journal(self.folder).events]


@pytest.fixture
def rig(memory: Path, tmp_path: Path) -> Iterator[Rig]:
    found = Rig(memory, tmp_path / "media")
    yield found
    found.gate.set()
    found.writer.finish(30.0)
    found.journal.close()


def test_a_full_queue_refuses_and_never_waits(rig: Rig) -> None:
    """By bytes and by number; what was refused is counted, and there is room again when some are written."""
    rig.put()
    until(lambda: rig.writer._busy, "it is at work")
    rig.put(held=QUEUE_LIMIT - 10)
    rig.put(held=11)
    (why,) = rig.refused
    assert "64 MiB or 4096 media wait to be encoded" in why
    rig.gate.set()
    until(lambda: rig.writer._held == 0, "all are written")
    rig.put(held=11)
    rig.writer.finish(30.0)
    assert len(rig.events()) == 3


def test_the_queue_has_so_many(rig: Rig) -> None:
    """Small ones are bounded by their number."""
    rig.put(held=0)
    until(lambda: rig.writer._busy, "it is at work")
    for _ in range(MAX_WAITING + 2):
        rig.put(held=0)
    assert [len(messages) for messages in rig.refused.values()] == [2]


def test_the_end_waits_for_what_is_there(rig: Rig) -> None:
    """Everything that was taken is in the journal when `finish` returns, in its order."""
    for size in range(50):
        rig.put(size=size + 1)
    rig.gate.set()
    rig.writer.finish(30.0)
    assert [told["size"] for told in rig.events()] == list(range(1, 51))
    assert rig.refused == {}


def test_the_end_waits_so_long(rig: Rig) -> None:
    """What is still in the queue then is refused, counted, and the run goes on to its end."""
    for _ in range(3):
        rig.put()
    rig.writer.finish(0.2)
    (why,) = rig.refused
    assert "not encoded within" in why
    assert len(rig.refused[why]) == 2


def test_after_the_end_nothing_is_taken(rig: Rig) -> None:
    """What comes later is refused with the reason."""
    rig.gate.set()
    rig.writer.finish(30.0)
    rig.put()
    assert list(rig.refused) == ["media: the run has finished"]


def test_media_never_take_the_rows_half_of_the_journal(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is full to the half, small ones become files, and events wait until there is room."""
    rig.gate.set()
    held = [1 << 40]
    monkeypatch.setattr(type(rig.journal.shelf), "held", property(lambda shelf: held[0]))
    monkeypatch.setattr(writers, "room", lambda path, held: 1 << 20)
    rig.put(size=10)
    until(lambda: (Path(rig.place.path) / "0.png").exists(), "the file")
    assert rig.events() == []
    held[0] = 0
    until(lambda: len(rig.events()) == 1, "the event")
    assert rig.events()[0]["file"] == f"{SESSION}/0.png"


def test_what_finds_no_room_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, so that the queue goes on; its file goes with it."""
    rig.gate.set()
    monkeypatch.setattr(writers, "PATIENCE", 0.05)
    monkeypatch.setattr(writers, "room", lambda path, held: 0)
    rig.put(size=10)
    until(lambda: bool(rig.refused), "it is refused")
    assert list(rig.refused) == ["media: the journal has no room beside its rows"]
    until(lambda: list(Path(rig.place.path).iterdir()) == [], "the file is gone")


def test_files_that_wait_have_a_limit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above it media are refused; when the collector has taken some, there is room again."""
    monkeypatch.setattr(places, "RUN_LIMIT", 250_000)
    monkeypatch.setattr(places, "MEMORY_LIMIT", 250_000)
    rig.gate.set()
    for _ in range(3):
        rig.put(size=100_000)
    until(lambda: bool(rig.refused), "it is refused")
    assert "would be more than" in next(iter(rig.refused))
    for path in Path(rig.place.path).iterdir():
        path.unlink()
    rig.put(size=100_000)
    until(lambda: len(rig.events()) == 3, "the events")


@pytest.mark.parametrize(("name", "limit"), [("MEMORY_LIMIT", "memory"), ("RUN_LIMIT", "disk")])
@pytest.mark.parametrize("there", [False, True])
def test_the_limit_of_memory_and_of_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: str, there: bool
) -> None:
    """Each counts where the folder lies, also when that was there before the first file."""
    other = {"MEMORY_LIMIT": "RUN_LIMIT", "RUN_LIMIT": "MEMORY_LIMIT"}[name]
    monkeypatch.setattr(places, name, 1000)
    monkeypatch.setattr(places, other, 1 << 20)
    monkeypatch.setattr(places, "is_memory", lambda path, mounts: limit == "memory")
    root = tmp_path / "media"
    if there:
        places.make_own(str(root))
        places.make_own(str(root / SESSION))
    place = Place(str(root), SESSION)
    place.write(bytes(900), "png")
    with pytest.raises(OSError, match="would be more than"):
        place.write(bytes(200), "png")


def test_what_is_stored_is_let_go(rig: Rig) -> None:
    """Files whose events the collector has stored are removed where it could not do so itself."""
    rig.gate.set()
    rig.put(size=100_000)
    until(lambda: len(rig.events()) == 1, "the event")
    assert (Path(rig.place.path) / "0.png").exists()
    rig.stored = rig.journal.seq
    rig.put(size=100_000)
    until(lambda: len(rig.events()) == 2, "the events")
    until(lambda: not (Path(rig.place.path) / "0.png").exists(), "the file is gone")
    assert (Path(rig.place.path) / "1.png").exists()


def test_a_folder_that_cannot_be_written(rig: Rig, tmp_path: Path) -> None:
    """Is told with the reason, and small ones go on."""
    (tmp_path / "media").write_text("a file")
    rig.gate.set()
    rig.put(size=100_000)
    rig.put(size=10)
    until(lambda: len(rig.events()) == 1, "the event")
    assert [why.partition(":")[0] for why in rig.refused] == ["media"]
    assert "its file could not be written" in next(iter(rig.refused))


@pytest.mark.parametrize(
    ("form", "ending"), [("png", "png"), ("plotly.json", "json"), ("PNG", "png"), ("", "bin"), ("é/x" * 9, "xxxxxxxx")]
)
def test_a_files_ending_is_plain(tmp_path: Path, form: str, ending: str) -> None:
    """Whatever the format is called, the collector takes the name for one of ours."""
    assert Place(str(tmp_path), SESSION).write(b"x", form) == f"{SESSION}/0.{ending}"


def test_too_large_a_medium(rig: Rig) -> None:
    """Is refused, and says the limit."""
    rig.gate.set()
    rig.put(size=(32 << 20) + 1)
    until(lambda: bool(rig.refused), "it is refused")
    assert list(rig.refused) == ["media: encoded it is larger than 32 MiB"]


def test_a_planted_folder_is_not_followed(rig: Rig, tmp_path: Path) -> None:
    """A link where the session's media belong is refused, and nothing is written behind it."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "media").symlink_to(tmp_path / "elsewhere")
    rig.gate.set()
    rig.put(size=100_000)
    until(lambda: bool(rig.refused), "it is refused")
    assert "is not a folder" in next(iter(rig.refused))
    assert list((tmp_path / "elsewhere").iterdir()) == []
