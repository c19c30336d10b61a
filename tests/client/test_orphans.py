"""Journals that nobody reads: the doctor names them; `wayside clear` deletes them when told to, and no living one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import wayside
from client.conftest import Place
from standins.answering_collector import answering_collector
from wayside.command import main
from wayside.examination import orphans_of
from wayside.orphans import Orphan, find_orphans, remove
from wayside.settings import read_settings

KILLED = """
import os, signal, sys, wayside
run = wayside.init(project="p", id=sys.argv[1])
for step in range(int(sys.argv[2])):
    run.log({"loss": 0.5}, step=step)
os.kill(os.getpid(), signal.SIGKILL)
"""


def leave(place: Place, run: str = "r", rows: int = 10, **environ: str) -> None:
    """A run that is killed."""
    command = [sys.executable, "-c", KILLED, run, str(rows)]
    subprocess.run(command, env={**place.environ, **environ}, timeout=60, stderr=subprocess.DEVNULL, check=False)


def found(place: Place, **environ: str) -> list[Orphan]:
    return orphans_of(read_settings({**place.environ, **environ}))


def clear(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["clear", *arguments])
    return int(ended.value.code or 0)


def test_a_killed_run_is_named(place: Place) -> None:
    """With its run, where it lies, how much is in it, and why nobody took it."""
    leave(place, rows=10)
    (orphan,) = found(place)
    assert (orphan.run, orphan.project, orphan.dir) == ("r", "p", str(place.overflow))
    assert 10 <= orphan.rows <= 12  # and perhaps what the run is
    assert orphan.bytes >= 256 << 10
    assert str(place.socket) in orphan.why
    assert not orphan.taken


def test_rows_of_many_segments(place: Place) -> None:
    """Every row is counted, whether its segment lies in memory, on disk, or in both."""
    leave(place, rows=40_000)
    (orphan,) = found(place)
    assert 40_000 <= orphan.rows <= 40_002


def test_an_offline_run_says_so(place: Place) -> None:
    """It waits for `sync`, and for no collector."""
    leave(place, WAYSIDE_MODE="offline")
    (orphan,) = found(place)
    assert orphan.why == "it was logged offline"


def test_a_living_run_is_none(place: Place) -> None:
    """While its process lives, nobody names or deletes its journal."""
    program = "import sys, wayside\nwayside.init().log({'a': 1.0})\nprint('on', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], env=place.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as living:
        assert living.stdout is not None
        assert living.stdout.readline() == "on\n"
        assert found(place) == []
        assert clear("--yes") == 0
        assert any(path.glob("*.seg") for path in place.journals())


def test_one_that_a_collector_is_about_to_take(place: Place) -> None:
    """Where its collector answers, it is named as that one's, and not deleted."""
    leave(place)
    with answering_collector(place.socket, lambda connection: None):
        (orphan,) = found(place)
        assert orphan.taken
        assert "about to take it" in orphan.why
        assert clear("--yes") == 0
    assert len(place.journals()) > 0


def test_one_in_a_folder_that_its_collector_does_not_look_in(place: Place) -> None:
    """A collector that says where it looks takes what lies there, and nobody says that it takes anything else."""
    leave(place)
    note = place.beside / "collector.json"
    with answering_collector(place.socket, lambda connection: None):
        for roots, taken in (([], True), ([str(place.overflow)], True), ("rubbish", True)):
            note.write_text(json.dumps({"journals": roots}))
            (orphan,) = found(place)
            assert orphan.taken is taken, roots
        (place.overflow / "journals").mkdir(parents=True, exist_ok=True)
        for path in (place.beside / "journals").glob("*"):
            shutil.move(path, place.overflow / "journals" / path.name)
        for roots, taken in (([], False), (["/elsewhere"], False), ([str(place.overflow)], True)):
            note.write_text(json.dumps({"journals": roots}))
            (orphan,) = found(place)
            assert orphan.taken is taken, roots
        note.write_text(json.dumps({"journals": []}))
        (orphan,) = found(place)
        assert f"does not look in {place.overflow}" in orphan.why


def test_what_cannot_be_read_is_named_too(place: Place) -> None:
    """A journal without a lock, without a segment, with rubbish in it, and a name that is no session's."""
    journals = place.beside / "journals"
    for name in ("a" * 32, "b" * 32, "c" * 32, "short"):
        (journals / name).mkdir(parents=True)
    (journals / ("b" * 32) / "lock").touch()
    (journals / ("c" * 32) / "lock").touch()
    (journals / ("c" * 32) / "00000000.seg").write_bytes(b"x" * 5000)
    named = {orphan.session[0]: orphan for orphan in found(place)}
    assert set(named) == set("abc")
    assert "lock is missing" in named["a"].why
    assert all(orphan.rows == 0 for orphan in named.values())


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A link in a session's place is none, and a link in a segment's is not read."""
    (tmp_path / "journals").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "journals" / ("a" * 32)).symlink_to(tmp_path / "elsewhere")
    real = tmp_path / "journals" / ("b" * 32)
    real.mkdir()
    (real / "00000000.seg").symlink_to("/dev/zero")
    (orphan,) = find_orphans([str(tmp_path)], lambda address: False)
    assert orphan.session == "b" * 32
    assert orphan.rows == 0
    assert remove(orphan)
    assert (tmp_path / "elsewhere").is_dir()


def test_clear_asks_first(place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what would be lost and how to deliver it; without a yes nothing is deleted, and nobody answers for a
    program.
    """
    leave(place)
    assert clear() == 1
    told = capsys.readouterr().out
    assert "never delivered" in told
    assert f"wayside-collector sync {place.overflow}" in told
    assert "--yes" in told
    for answer, code, left in (("n\n", 1, 1), ("\n", 1, 1), ("yes\n", 0, 0)):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        assert clear() == code
        assert len(found(place)) == left
    assert place.journals() == []
    capsys.readouterr()
    assert clear() == 0
    assert "no journals" in capsys.readouterr().out


class Terminal:
    """A person who gives one answer."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answer


def test_only_those_that_are_asked_for(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """By the first letters of their names; one that is not there is an error, and nothing is deleted."""
    leave(place, "one")
    leave(place, "two")
    first, second = found(place)
    assert clear("nothing-like-that", "--yes") == 2
    assert len(found(place)) == 2
    assert clear(first.session[:8], "--yes") == 0
    assert [orphan.session for orphan in found(place)] == [second.session]


def test_one_that_cannot_be_deleted(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What holds other files stays, and is named; the exit code says so."""
    leave(place)
    (place.journals()[0] / "mine.txt").write_text("x")
    assert clear("--yes") == 1
    assert "could not be deleted" in capsys.readouterr().err
    assert (place.journals()[0] / "mine.txt").exists()


def test_the_doctor_names_them(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """In text and as JSON, with the command that delivers them; that alone fails no check."""
    leave(place)
    with pytest.raises(SystemExit):
        main(["doctor", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [orphan["run"] for orphan in told["orphans"]] == ["r"]
    (check,) = [check for check in told["checks"] if check["name"] == "orphans"]
    assert check["ok"]
    assert f"wayside-collector sync {place.overflow}" in check["do"]
    with pytest.raises(SystemExit):
        main(["doctor"])
    assert "run r of project p" in capsys.readouterr().out


def test_a_full_folder_is_told(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that finds no place in memory says so once and names the doctor, which says what fills it."""
    leave(place, WAYSIDE_SOCKET=str(place.overflow / "w.sock"))
    monkeypatch.setenv("WAYSIDE_SOCKET", str(place.overflow / "w.sock"))
    monkeypatch.setattr("wayside.shelf.FOLDER_LIMIT", 300 << 10)
    monkeypatch.setattr("wayside.orphans.FOLDER_LIMIT", 300 << 10)
    with wayside.init() as run:
        run.log({"loss": 1.0})
    told = capsys.readouterr().err
    assert told.count("lies on a disk") == 1
    assert "wayside doctor" in told
    with pytest.raises(SystemExit):
        main(["doctor", "--json"])
    (check,) = [check for check in json.loads(capsys.readouterr().out)["checks"] if check["name"] == "orphans"]
    assert not check["ok"]
    assert "the limit" in check["found"]
