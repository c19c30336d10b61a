"""A small history to ask: a workload `job` with a finished run r1 of two ranks, on a host that was sampled, and a run
r2 that goes on; a third run of another workload that crashed.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
from wayside.row import Event, Row
from wayside_collector.session import Run, Session
from wayside_collector.store import Writer, connect
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

START = 1_767_225_600.0
STEPS = 40


def run_session(id: str, rank: int | None, workload: str, started: float, **known: object) -> Session:
    session = make_session(
        id, rank=rank, id=f"{id}-{rank}".ljust(32, "0"), workload=workload, started=started, host=f"node-{rank}"
    )
    return msgspec.structs.replace(session, run=Run(id=id, **known))  # type: ignore[arg-type]


def put(writer: Writer, session: Session, records: Sequence[Row | Event], open_runs: Sequence[Session] = ()) -> None:
    writer.write(make_parcel(session, records, open_runs=open_runs).parts)


def rows(begin: int, end: int, *, loss: float, time: float) -> list[Row]:
    """Rows begin to end, a second apart; every tenth loss is no number, and the eleventh row infinite."""
    found = []
    for step in range(begin, end):
        value = math.nan if step % 10 == 5 else math.inf if step == 11 else loss / (1 + step)
        names = ("train/loss", "val/acc", "run_id", "target_iteration")
        values = (value, step / 100, 7.0, float(STEPS))
        found.append(Row(step + 1, time + step, step, True, False, names, values))
    return found


def fill(url: str) -> None:
    """Into an empty store."""
    db = connect(url)
    try:
        db.migrate()
        writer = Writer(db)
        known = {"name": "first", "project": "llama", "tags": ("good", "big"), "group": "g"}
        first = [run_session("r1", rank, "job", START, **known) for rank in (0, 1)]
        config = {"lr": 0.1, "opt": {"name": "adam", "betas": [0.9, 0.99]}, "big": 2**70, "odd": math.nan}
        put(writer, first[0], [make_event("config", {"set": config}, seq=0), *rows(0, STEPS, loss=2.0, time=START)])
        put(writer, first[1], make_rows(5, {"train/loss": 0.25}, seq=1, time=START))
        system = make_session("system", kind="system", id="5" * 32, host="node-0", started=START)
        put(writer, system, make_rows(30, {"gpu/0/util": 0.5}, time=START), first)
        alert = {"title": "loss is no number", "text": "at step 5", "level": "ERROR"}
        put(writer, first[0], [make_event("alert", alert, seq=100, time=START + 5, step=5)])
        put(writer, first[0], [make_event("summary", {"set": {"best": 0.05}}, seq=101, time=START + 50)])
        ends = [make_event("finish", {"exit_code": 0}, seq=102, time=START + 60)]
        for session in first:
            put(writer, session, ends)
        second = run_session("r2", None, "job", START + 100, name="second", project="llama", tags=("good",))
        put(writer, second, [make_event("config", {"set": {"lr": 0.2}}, seq=0)])
        put(writer, second, rows(0, 20, loss=0.5, time=START + 100))
        third = run_session("r3", None, "other", START + 200, project="gpt")
        put(writer, third, [make_event("finish", {"reason": "crashed"}, seq=0, time=START + 201)])
    finally:
        db.close()


def filled(folder: Path) -> str:
    """Where such a store is."""
    url = str(folder / "store.db")
    fill(url)
    return url
