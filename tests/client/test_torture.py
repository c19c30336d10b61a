"""Signals, threads, garbage and forks at random instants, under every Python a training image may have.

What `log()` returned for is in a journal's file once, whatever came in between; what it was left for by an exception
is there at most once.
"""

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from client.conftest import Place
from client.test_older_pythons import CLIENT, VERSIONS, python
from standins.journal_reading import Frames, read_journal

HERE = Path(__file__).parent


def run(place: Place, version: str, *command: str) -> "subprocess.CompletedProcess[str]":
    environ = {**place.environ, "PYTHONPATH": str(CLIENT), "WAYSIDE_QUIET": "1"}
    done = subprocess.run([python(version), *command], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def sessions(place: Place) -> dict[str, Frames]:
    """What each session left, in memory and on disk."""
    names = {folder.name for folder in place.journals()}
    return {
        name: read_journal(*(root / "journals" / name for root in (place.beside, place.overflow))) for name in names
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("seed", [1, 2])
def test_handlers_threads_and_garbage(place: Place, version: str, seed: int) -> None:
    """A timer's handler logs and raises anywhere, objects log when they are collected, two threads log."""
    done = run(place, version, str(HERE / "torture.py"), str(seed), "4000", "2")
    told = json.loads(done.stdout)
    (found,) = sessions(place).values()
    times = Counter(int(row.metrics["mark"]) for row in found.rows)
    lost = [mark for mark in told["returned"] if times[mark] != 1]
    dropped = told["counts"].get("dropped", {"rows": 0})["rows"]
    assert len(lost) == dropped, ([(mark, times[mark]) for mark in lost[:10]], told["counts"])
    assert max(times.values()) == 1, "an interrupted call's row may be there, but once"
    kinds = Counter(event.kind for event in found.events)
    # What the run is may come too late: it is waited for only so long, and in 3.8 and 3.9 an exception that meets the
    # way out of a `with` leaves the lock held, so that no other thread can log any more.
    assert (kinds["config"], kinds["finish"]) == (1, 1)
    assert kinds["about"] <= 1


@pytest.mark.parametrize("version", VERSIONS)
def test_forked_workers(place: Place, version: str) -> None:
    """Each worker is a session of its own with its rows whole, wherever the fork met the parent's threads, and nobody's
    rows are in anybody else's journal.
    """
    told = {
        int(who): marks for who, marks in json.loads(run(place, version, str(HERE / "forks.py"), "6").stdout).items()
    }
    found = sessions(place)
    assert len(told) == 2 + 2 * 6
    by_process: dict[int, list[int]] = {}
    for frames in found.values():
        for row in frames.rows:
            by_process.setdefault(int(row.metrics["who"]), []).append(int(row.metrics["mark"]))
        workers = {int(row.metrics["who"]) for row in frames.rows}
        assert workers == {0, 1} or len(workers) == 1
    assert {who: sorted(marks) for who, marks in by_process.items()} == {who: sorted(told[who]) for who in told}
    assert len(found) == 1 + 2 * 6
    assert sum(bool(frames.events) for frames in found.values()) == 1, "only who began the run says what it is"
