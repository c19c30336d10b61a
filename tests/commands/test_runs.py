"""`runs`: which runs are listed, and how."""

import json
from pathlib import Path

import pytest
from commands.history import fill, tell

Capture = pytest.CaptureFixture[str]


def listed(capsys: Capture, store: str, *arguments: str) -> list[str]:
    """Ids of the runs in the table, in order."""
    told = tell(capsys, "runs", "--store", store, *arguments)
    assert told.code == 0
    return [line.split()[0] for line in told.out.splitlines()[1:]]


def test_the_table(store: str, capsys: Capture) -> None:
    """A line for each run, the one last begun first, with its state, its last step and its last loss."""
    told = tell(capsys, "runs", "--store", store)
    head, first, *_ = told.out.splitlines()
    assert head.split() == ["run", "name", "project", "state", "begun", "for", "step", "loss"]
    assert first.split()[:5] == ["zebra-c3-longer", "striped", "demo", "failed", "(3)"]
    assert first.split()[-2:] == ["1299", "0.7144"]
    assert [line.split()[0] for line in told.out.splitlines()[2:]] == ["llama-b2", "llama-a1"]
    assert told.err == ""


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        (["LLAMA"], ["llama-b2", "llama-a1"]),
        (["--state", "failed"], ["zebra-c3-longer"]),
        (["--tag", "all", "--tag", "striped"], ["zebra-c3-longer"]),
        (["--where", "lr=0.08", "--where", "model.depth=12"], ["llama-b2", "llama-a1"]),
        (["--where", "model.name=<b>", "--limit", "1"], ["zebra-c3-longer"]),
        (["--project", "other"], []),
        (["--workload", "llama-a1"], ["llama-a1"]),
    ],
)
def test_filters(store: str, capsys: Capture, arguments: list[str], runs: list[str]) -> None:
    """Each filter leaves the runs that fit all of it; none fitting is no failure."""
    assert listed(capsys, store, *arguments) == runs


def test_more_than_are_shown(store: str, capsys: Capture) -> None:
    """What the limit leaves out is said, beside the table and not in it."""
    told = tell(capsys, "runs", "--store", store, "--limit", "2")
    assert len(told.out.splitlines()) == 3
    assert "1 more" in told.err


def test_for_programs(store: str, capsys: Capture) -> None:
    """`--json` tells all that is known of each run, and nothing else on stdout."""
    found = json.loads(tell(capsys, "runs", "--store", store, "--json", "--limit", "1").out)
    assert found["total"] == 3
    assert (found["runs"][0]["id"], found["runs"][0]["exit_code"]) == ("zebra-c3-longer", 3)
    assert found["runs"][0]["tags"] == ["striped", "all"]


def test_a_store_that_is_not_there(tmp_path: object, capsys: Capture) -> None:
    """Where no store is, that is said with where it was looked for and what to give; exit code 1."""
    told = tell(capsys, "runs", "--store", f"{tmp_path}/none.db")
    assert told.code == 1
    assert "none.db" in told.err
    assert "--url" in told.err


def test_the_configuration_says_where(
    store: str, tmp_path: object, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --store the store is the configuration's; a configuration without one is said to have none."""
    monkeypatch.setenv("WAYSIDE_SINKS__STORE__PATH", store)
    assert len(tell(capsys, "runs").out.splitlines()) == 4
    monkeypatch.delenv("WAYSIDE_SINKS__STORE__PATH")
    monkeypatch.setenv("WAYSIDE_SINKS", "{jsonl: {}}")
    told = tell(capsys, "runs")
    assert told.code == 2
    assert "no `store`" in told.err


def test_what_runs_are_called_moves_no_cursor(tmp_path: Path, capsys: Capture) -> None:
    """Names are the training code's: nothing in them reaches the terminal as anything but text."""
    place = str(tmp_path / "store.db")
    fill(place, [("r1", "\x1b[31mred\x1b]0;title\x07\nnext")], rows=1)
    told = tell(capsys, "runs", "--store", place)
    assert len(told.out.splitlines()) == 2
    assert "\x1b" not in told.out
    assert "[31mred" in told.out
