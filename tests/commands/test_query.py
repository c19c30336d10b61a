"""`query`: what a run logged, as tables, drawings and JSON; and which run is meant."""

import json
from pathlib import Path

import msgspec
import pytest
from commands.history import ROWS, loss, tell
from wayside_collector.session import Run
from wayside_collector.store import Writer, connect
from wayside_collector.testing import make_parcel, make_rows, make_session

Capture = pytest.CaptureFixture[str]


def test_all_metrics(store: str, capsys: Capture) -> None:
    """Without a metric: each of each rank, with its points, last, best, least and greatest value."""
    told = tell(capsys, "query", "llama-a1", "--store", store)
    assert told.code == 0
    lines = [line.split() for line in told.out.splitlines()]
    assert [line[:3] for line in lines[1:]] == [
        [name, "rank", str(rank)] for name in ("lr", "train/loss", "val/acc") for rank in (0, 1)
    ]
    assert "1300 (3 not finite)" in told.out
    row = next(line for line in told.out.splitlines() if line.startswith("train/loss"))
    assert row.split()[7:12] == [f"{loss(ROWS - 1, 0):.6g}", str(ROWS - 1), "-Infinity", "702", "-Infinity"]


def test_values_of_a_range(store: str, capsys: Capture) -> None:
    """The points of a range of steps, both ends included, what is not finite by name."""
    told = tell(
        capsys, "query", "llama-a1", "train/loss", "--from", "699", "--to", "703", "--rank", "0", "--store", store
    )
    rows = [line.split() for line in told.out.splitlines()[5:]]
    assert [(row[0], row[-1]) for row in rows] == [
        ("699", f"{loss(699, 0):.6g}"), ("700", "NaN"), ("701", "Infinity"), ("702", "-Infinity"),
        ("703", f"{loss(703, 0):.6g}"),
    ]  # fmt: skip


def test_many_points_as_few(store: str, capsys: Capture) -> None:
    """More points than lines: each line tells the mean, the least and the greatest of those it stands for."""
    told = tell(capsys, "query", "llama-a1", "lr", "--points", "4", "--rank", "1", "--store", store)
    assert "1300 points as 3" in told.out
    rows = [line.split() for line in told.out.splitlines()[5:]]
    assert [row[-4:-1] for row in rows] == [["1.1", "1.1", "1.1"]] * 3
    assert sum(int(row[-1]) for row in rows) == ROWS


def test_a_plot(store: str, capsys: Capture) -> None:
    """The plot names its axes' ends and its curves, and has no colours where no terminal reads it."""
    told = tell(capsys, "query", "llama-a1", "train/loss", "--plot", "--from", "0", "--to", "200", "--store", store)
    drawn = told.out
    assert "train/loss rank 0   train/loss rank 1" in drawn
    assert "3.625 ┤" in drawn
    assert {"0", "100", "200"} <= set(drawn.splitlines()[-2].split())
    assert "\x1b" not in drawn
    assert any("⠁" <= letter <= "⣿" for letter in drawn)


def test_nothing_to_draw(store: str, capsys: Capture) -> None:
    """Where every point is no number, that is said instead of an empty drawing."""
    told = tell(capsys, "query", "llama-a1", "train/loss", "--plot", "--from", "700", "--to", "702", "--store", store)
    assert (told.code, "nothing to draw" in told.out) == (0, True)


@pytest.mark.parametrize("value", [1e308, 1.7e308, 5e-324])
def test_a_constant_at_the_end_of_numbers(tmp_path: Path, capsys: Capture, value: float) -> None:
    """The axis around it ends where numbers do."""
    place = str(tmp_path / "store.db")
    db = connect(place)
    db.migrate()
    Writer(db).write(make_parcel(make_session("r", rank=0), make_rows(5, {"loss": value})).parts)
    db.close()
    told = tell(capsys, "query", "r", "loss", "--plot", "--log", "--store", place)
    assert (told.code, "┤" in told.out) == (0, True)


@pytest.fixture
def odd(tmp_path: Path) -> str:
    """A run called `a` of rows without steps and one metric with them; and one whose id begins with its name."""
    place = str(tmp_path / "odd.db")
    db = connect(place)
    db.migrate()
    named = make_session("first", rank=0)
    named = msgspec.structs.replace(named, run=Run(id="first", name="a"))
    free = [row._replace(step=None) for row in make_rows(3, {"free": 0.5})]
    writer = Writer(db)
    writer.write(make_parcel(named, [*free, *make_rows(3, {"loss": 0.25}, seq=3)]).parts)
    writer.write(make_parcel(make_session("aoe5", rank=0), make_rows(3, {"loss": 0.25})).parts)
    db.close()
    return place


def test_metrics_without_steps(odd: str, capsys: Capture) -> None:
    """They are told by time unless steps were asked for; then it is said that they have none."""
    told = tell(capsys, "query", "first", "free", "--store", odd)
    assert (told.code, told.out.count("0.5")) == (0, 7)
    told = tell(capsys, "query", "first", "*", "--plot", "--store", odd)
    assert (told.code, told.out.count("└"), "nothing to draw" in told.out) == (0, 2, False)
    found = json.loads(tell(capsys, "query", "first", "free", "--axis", "step", "--json", "--store", odd).out)
    assert [curve["count"] for curve in found["curves"]] == [0]
    told = tell(capsys, "query", "first", "*", "--from", "0", "--store", odd)
    assert told.err == "without steps, so nothing is told of it: free; by time: --axis time\n"


def test_a_rank_and_a_range_that_are_none(store: str, capsys: Capture) -> None:
    """A rank that the run does not have is named, with those it has; a range must not end before it begins."""
    told = tell(capsys, "query", "llama-a1", "lr", "--rank", "7", "--store", store)
    assert (told.code, told.out) == (1, "")
    assert "of rank 7; the ranks there are: 0, 1" in told.err
    told = tell(capsys, "query", "llama-a1", "lr", "--from", "5", "--to", "2", "--store", store)
    assert (told.code, told.out, told.err) == (2, "", "--from 5 lies after --to 2\n")


def test_a_name_goes_before_the_beginning_of_an_id(odd: str, capsys: Capture) -> None:
    """Whatever ids are made later, a run is found by its name."""
    told = tell(capsys, "query", "a", "--json", "--store", odd)
    assert (told.code, json.loads(told.out)["run"]["id"], told.err) == (0, "first", "")


def test_patterns(store: str, capsys: Capture) -> None:
    """A pattern stands for all metrics it fits; one that fits none is refused with those there are."""
    told = tell(capsys, "query", "llama-a1", "*a*", "--json", "--points", "1", "--store", store)
    assert {one["name"] for one in json.loads(told.out)["series"]} == {"train/loss", "val/acc"}
    told = tell(capsys, "query", "llama-a1", "nothing/*", "--store", store)
    assert told.code == 1
    assert "lr, train/loss, val/acc" in told.err


def test_for_programs(store: str, capsys: Capture) -> None:
    """`--json` is strict JSON with every value as it was logged, what is not finite spelled out."""
    told = tell(
        capsys, "query", "llama-a1", "train/loss", "--points", "5000", "--rank", "0", "--json", "--store", store
    )
    found = json.loads(told.out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    (curve,) = found["curves"]
    values = [float(value) for value in curve["values"]]
    assert [repr(value) for value in values] == [repr(loss(step, 0)) for step in range(ROWS)]
    assert curve["values"][700:703] == ["NaN", "Infinity", "-Infinity"]


@pytest.mark.parametrize(
    ("text", "run"),
    [("llama-a1", "llama-a1"), ("llama-a", "llama-a1"), ("z", "zebra-c3-longer"), ("striped", "zebra-c3-longer")],
)
def test_which_run(store: str, capsys: Capture, text: str, run: str) -> None:
    """A run is named by its id, by the beginning of that, or by its name."""
    assert json.loads(tell(capsys, "query", text, "--json", "--store", store).out)["run"]["id"] == run


def test_a_name_of_several(store: str, capsys: Capture) -> None:
    """Of runs with one name the latest is taken, and which that is and which others there are is said on stderr."""
    told = tell(capsys, "query", "llama", "--json", "--store", store)
    assert json.loads(told.out)["run"]["id"] == "llama-b2"
    assert "2 runs" in told.err
    assert "llama-a1" in told.err


def test_a_beginning_of_several(store: str, capsys: Capture) -> None:
    """A beginning that several ids have is not guessed at: they are listed, with exit code 1; so is none."""
    told = tell(capsys, "query", "llama-", "--store", store)
    assert (told.code, told.out) == (1, "")
    assert {"llama-a1", "llama-b2"} <= set(told.err.split())
    told = tell(capsys, "query", "nobody", "--store", store)
    assert (told.code, told.out) == (1, "")
    assert "nobody" in told.err


def test_a_step_that_is_none(store: str, capsys: Capture) -> None:
    """An end of the range that is none of the axis is a mistake of the command line: exit code 2, and what to type."""
    told = tell(capsys, "query", "llama-a1", "lr", "--from", "1h", "--store", store)
    assert (told.code, "--axis time" in told.err) == (2, True)
    assert tell(capsys, "query", "llama-a1", "lr", "--from", "soon", "--axis", "time", "--store", store).code == 2
