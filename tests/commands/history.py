"""A history to ask: a store with runs that a test knows by heart, and the command line beside it, in this process."""

import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec
import pytest
from wayside.row import Event, Row
from wayside_collector import cli
from wayside_collector.session import Run, Session
from wayside_collector.store import Writer, connect
from wayside_collector.testing import make_event, make_parcel, make_session

START = 1_767_225_600.0
ROWS = 1300  #: of one rank: two blocks and a tail
ODD = {700: math.nan, 701: math.inf, 702: -math.inf}  #: steps at which the loss is no number


class Told(NamedTuple):
    """What a command said. code: its exit code."""

    code: int
    out: str
    err: str


def tell(capsys: pytest.CaptureFixture[str], *arguments: str) -> Told:
    """The command line, to its end."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    code = ended.value.code
    assert isinstance(code, int)
    return Told(code, *capsys.readouterr())


def session_of(run: str, name: str, rank: int, started: float) -> Session:
    found = make_session(
        run, rank=rank, host=f"node-{rank}", started=started, id=sha256(f"{run}{rank}".encode()).hexdigest()[:32]
    )
    return msgspec.structs.replace(found, run=Run(id=run, name=name, project="demo", tags=(name, "all")))


def loss(step: int, rank: int, odd: Mapping[int, float] = ODD) -> float:
    return odd.get(step, 0.5 + 3 / (1 + step / 100) + rank / 8)


def rows_of(rank: int, started: float, rows: int = ROWS, odd: Mapping[int, float] = ODD) -> list[Row]:
    """train/loss and lr each step, val/acc each hundredth; the seqs follow three events."""
    found = []
    for step in range(rows):
        names: tuple[str, ...] = ("train/loss", "lr")
        values: tuple[float, ...] = (loss(step, rank, odd), 0.1 + rank)
        if step % 100 == 0:
            names, values = (*names, "val/acc"), (*values, step / 2000)
        found.append(Row(3 + step, started + step, step, True, False, names, values))
    return found


def events_of(run: str, started: float) -> list[Event]:
    return [
        make_event(
            "config", {"set": {"lr": len(run) / 100, "model": {"depth": 12, "name": "<b>"}}}, seq=0, time=started
        ),
        make_event("summary", {"set": {"note": "good & <new>"}}, seq=1, time=started),
        make_event("alert", {"title": "<i>NaN", "text": "loss", "level": "WARN"}, seq=2, time=started + 700, step=700),
    ]


def fill(place: str, runs: Sequence[tuple[str, str]], rows: int = ROWS, odd: Mapping[int, float] = ODD) -> None:
    """Runs by id and name, an hour apart, of two ranks each; the last one failed with exit code 3."""
    db = connect(place)
    db.migrate()
    writer = Writer(db)
    for number, (run, name) in enumerate(runs):
        started = START + 3600 * number
        for rank in (0, 1):
            session = session_of(run, name, rank, started)
            records: list[Row | Event] = [
                *(events_of(run, started) if rank == 0 else ()),
                *rows_of(rank, started, rows, odd),
            ]
            code = 3 if number == len(runs) - 1 else 0
            records.append(make_event("finish", {"exit_code": code}, seq=9999, time=started + rows))
            writer.write(make_parcel(session, records[: len(records) // 2]).parts)
            writer.write(make_parcel(session, records[len(records) // 2 :]).parts)
    db.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three runs: two called `llama`, whose ids begin alike, and one of another name."""
    place = str(tmp_path_factory.mktemp("store") / "store.db")
    fill(place, [("llama-a1", "llama"), ("llama-b2", "llama"), ("zebra-c3-longer", "striped")])
    return place
