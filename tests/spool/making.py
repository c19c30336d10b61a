"""Batches of real frames, and spools to put them in."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wayside import wire
from wayside_collector.spool import Amount, Batch, SessionRow, Spool, SpoolOptions, Stored
from wayside_collector.testing import FakeClock

T0 = 1_767_225_600.0
NAMES = ("train/loss", "train/lr")
SCHEMA = wire.schema_frame(0, NAMES)
WITHIN = 15.0  # seconds a future may take: far more than any does


def session_id(number: int) -> str:
    return f"{number:032x}"


def record_of(id: str) -> bytes:
    return wire.json_frame(wire.HELLO, {"session": id, "run": {"id": "r1"}})


def make_batch(
    session: int,
    first_seq: int,
    *,
    rows: int = 3,
    events: int = 0,
    chain: str = "scalars",
    kind: str = "alert",
    value: float = 0.5,
) -> Batch:
    """Rows of two points from `first_seq` on, then events. What they hold follows from their seq and `value`."""
    row_bytes, event_bytes = b"", b""
    point = first_seq * 2
    if rows:
        frames = [wire.row_frame(0, T0 + seq, seq, (value, float(seq))) for seq in range(first_seq, first_seq + rows)]
        row_bytes = wire.seq_frame(first_seq, point) + b"".join(frames)
        point += 2 * rows
    last = first_seq + rows + events
    if events:
        told = [wire.event_frame(T0 + seq, None, kind, {"text": str(seq)}) for seq in range(first_seq + rows, last)]
        event_bytes = wire.seq_frame(first_seq + rows, point) + b"".join(told)
    return Batch(
        session=session,
        first_seq=first_seq,
        next_seq=last,
        next_point=point,
        rows=row_bytes,
        events=event_bytes,
        amount=Amount(2 * rows, rows, events),
        composition=((0, rows),) if rows else (),
        time=T0 + first_seq,
        defines={0: SCHEMA} if rows else {},
        chain=chain,
        finishes=bool(events) and kind == "finish",
    )


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[Spool]:
    """A spool in a folder, closed in the end; what Spool itself takes may stand among its options."""
    given = {
        name: options.pop(name) for name in ("on_stored", "on_forgotten", "clock", "make_files") if name in options
    }
    spool = Spool(SpoolOptions(path, **options), **given)
    spool.open()
    try:
        yield spool
    finally:
        spool.close()


def begin(spool: Spool, number: int = 1) -> SessionRow:
    id = session_id(number)
    return spool.begin_session(id, record_of(id), T0).result(WITHIN)


def put(spool: Spool, *batches: Batch) -> list[Stored]:
    return spool.append(batches).result(WITHIN)


def contents(spool: Spool) -> dict[int, tuple[int, int, int, bytes, bytes]]:
    """Everything that is stored: number to session, seqs, and the bytes of rows and of events."""
    return {
        stored.id: (
            stored.session,
            stored.first_seq,
            stored.next_seq,
            spool.read(stored.rows) if stored.rows is not None else b"",
            spool.read(stored.events) if stored.events is not None else b"",
        )
        for stored in spool.batches(0, 1_000_000)
    }


def as_contents(batch: Batch) -> tuple[int, int, int, bytes, bytes]:
    return batch.session, batch.first_seq, batch.next_seq, batch.rows, batch.events


def clock() -> Callable[[], float]:
    return FakeClock(T0)


def events_in(data: bytes) -> list[Any]:
    return [json.loads(wire.body(data, span)[16:]) for span in wire.scan(data).spans if span.type == wire.EVENT]
