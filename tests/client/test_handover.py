"""Collectors of other versions, and one that never reads: what the link makes of them."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wayside
from client.conftest import Place
from standins.journal_reading import read_journal
from standins.journal_writer import Writer, holds
from standins.scripted_collector import ScriptedCollector
from wayside import wire
from wayside.handover import Handover, Plan
from wayside.link import Link
from wayside.peer import understand
from wayside.roots import Root

PATIENCE = 15.0  # seconds: only a broken program needs them


@pytest.fixture
def writer(memory: Path, tmp_path: Path) -> Writer:
    return Writer(1, Root(str(memory), True), tmp_path / "kept")


@pytest.fixture
def collector(memory: Path) -> Iterator[ScriptedCollector]:
    made = ScriptedCollector(memory / "socket")
    yield made
    made.close()


def plan(writer: Writer, collector: ScriptedCollector, tell: Callable[[str, str], None]) -> Plan:
    overflow = str(writer.folders[1].parents[1])
    return Plan(writer.record, [str(collector.path)], overflow, 1 << 30, True, None, dict, tell)


def log(writer: Writer, count: int) -> None:
    for mark in range(count):
        writer.append("small", float(mark))


@pytest.mark.parametrize("versions", [[0], [2, 3], [], ["1"]])
def test_without_a_common_version_the_journal_waits(
    writer: Writer, collector: ScriptedCollector, versions: list[object]
) -> None:
    """An older collector, or one that reads version 1 no more: both versions are named, and nothing is let go or sent,
    nor is it asked again at once.
    """
    told: list[str] = []
    link = Handover(writer.journal, writer.keeper, plan(writer, collector, lambda key, text: told.append(text)))
    log(writer, 5)
    link.talk()
    assert collector.accept()
    collector.answer(versions=versions, stored=5)
    link.talk()
    assert (link.answered, link.peer, link.stored) == (False, None, 0)
    known = [version for version in versions if isinstance(version, int)]
    assert told == [
        f"this client writes wire version 1, the collector reads {known}; the journal waits until one of them is "
        "upgraded"
    ]
    link.talk()
    assert link.peer is None
    found = read_journal(*writer.folders)
    assert {record.seq: holds(record) for record in [*found.rows, *found.events]} == writer.accepted
    writer.close(5.0)


def test_a_newer_collector_is_written_what_both_know(writer: Writer, collector: ScriptedCollector) -> None:
    """It names more versions, and says more than this client knows, with frames of types to come: version 1 it is."""
    link = Handover(writer.journal, writer.keeper, plan(writer, collector, lambda key, text: None))
    log(writer, 5)
    link.talk()
    assert collector.accept()
    collector.answer(versions=[1, 2, 3], motd="welcome", stored_by_version={"3": 0})
    collector.say(wire.frame(77, b"from the future") + wire.frame(200, bytes(16)))
    link.talk()
    link.talk()
    assert link.answer is not None
    assert (link.answer.version, link.answer.versions) == (1, (1, 2, 3))
    assert collector.hellos[0]["versions"] == [1]
    collector.store()
    assert collector.rows == writer.accepted
    link.disconnect()
    writer.close(5.0)


def test_a_collector_that_never_reads_holds_up_no_training(writer: Writer, collector: ScriptedCollector) -> None:
    """It takes the connection, asks for frames and reads none: every call returns, and what was logged is kept."""
    link = Link(writer.journal, plan(writer, collector, lambda key, text: None))
    deadline = time.monotonic() + PATIENCE
    while not collector.accept():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    while not collector.hellos:
        assert time.monotonic() < deadline
        collector.answer()
    log(writer, 20_000)  # four times what the socket takes
    assert writer.journal.seq == 20_000
    assert not writer.dropped
    collector.stop()
    link.finish()
    found = read_journal(*writer.folders)
    assert {record.seq: holds(record) for record in found.rows} == writer.accepted


@pytest.mark.parametrize(
    "frame",
    [
        wire.frame(wire.ANSWER, b"[]"),
        wire.frame(wire.ANSWER, b"{}"),
        wire.frame(wire.ANSWER, b"{"),
        wire.json_frame(wire.ANSWER, {"versions": 1}),
        wire.json_frame(wire.ANSWER, {"versions": [1], "stored": -1}),
        wire.json_frame(wire.ANSWER, {"versions": [1], "stored": 1.5}),
        wire.json_frame(wire.ANSWER, {"versions": [1], "stored": True}),
        wire.frame(wire.ERROR, b"3"),
    ],
)
def test_what_is_no_answer_is_an_error(frame: bytes) -> None:
    """Nothing is let go because of it."""
    with pytest.raises(wire.WireError):
        understand(frame, wire.scan(frame).spans[0])


def test_a_socket_that_may_not_be_connected_to_is_told_once(
    writer: Writer, collector: ScriptedCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows go to WAYSIDE_DIR, and the user hears why: the socket is another user's. One that nobody listens at is no
    news.
    """

    def refuse(address: str, hello: object) -> None:
        raise PermissionError(13, "Permission denied")

    told: dict[str, str] = {}
    link = Handover(writer.journal, writer.keeper, plan(writer, collector, told.__setitem__))
    monkeypatch.setattr("wayside.handover.Peer", refuse)
    for _ in range(3):
        link.hurry()
        link.talk()
    (text,) = told.values()
    assert text.startswith(f"the collector's socket {collector.path} ")
    told.clear()
    monkeypatch.undo()
    collector.close()
    link.hurry()
    link.talk()
    assert not told


def test_a_socket_that_a_killed_collector_left_is_no_collector(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its note names a page where nobody is: the user is told that the run is kept, and where."""
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(place.socket))
    left.close()
    (place.beside / "collector.json").write_text('{"url": "http://127.0.0.1:9750/"}')
    run = wayside.init()
    told = capsys.readouterr().err
    assert run.url is None
    assert "http://" not in told
    assert f"kept in {place.overflow}" in told
