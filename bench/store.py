"""The store: points a second into SQLite and into PostgreSQL, bytes a point on disk, and a chart of 1,000 pixels over
10 million points, beside the same question to a plain table of a row for each point; the collector's memory with the
store on.

    python bench/run.py store        POINTS=1000000 python bench/run.py store      smaller

Rows of ten losses with noise in every digit: the worst that is seen. Losses that were float32, as most are, take half.
"""

import contextlib
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from wayside.row import Row
from wayside_collector.session import Session
from wayside_collector.sinks.base import Part
from wayside_collector.store import Reader, Writer, connect
from wayside_collector.store.walk import Range
from wayside_collector.testing import make_session

from bench.harness import child, collector, gate, percentile, show, wait_for

POINTS = int(os.environ.get("POINTS", 10_000_000))
PARCEL = 4000  #: rows, as the sink takes them
WIDTH = 10
PIXELS = 1000
START = 1_767_225_600.0
RANDOM = random.Random(1)
NOISE = [RANDOM.gauss(0, 0.1) for _ in range(100_003)]


def parcels(session: Session, rows: int, width: int) -> Iterator[list[Part]]:
    """Rows 0.2 s apart, give or take, of losses that fall."""
    names = tuple(f"train/m{number}" for number in range(width))
    for begin in range(0, rows, PARCEL):
        made = []
        for seq in range(begin, min(rows, begin + PARCEL)):
            level = 2 + 100_000 / (seq + 50_000)
            values = tuple([level * (1 + NOISE[(seq * width + place) % 100_003]) for place in range(width)])
            made.append(Row(seq, START + seq / 5 + NOISE[seq % 100_003] / 10, seq, True, False, names, values))
        yield [Part(session, list(made))]


def fill(url: str, rows: int, width: int, run: str) -> tuple[float, float]:
    """Points a second (of the time spent writing), and bytes a point."""
    db = connect(url)
    db.migrate()
    writer = Writer(db)
    before, spent = db.size(), 0.0
    for parcel in parcels(make_session(run, rank=0), rows, width):
        began = time.perf_counter()
        writer.write(parcel)
        spent += time.perf_counter() - began
    size = db.size() - before
    db.close()
    return rows * width / spent, size / (rows * width)


def writing(folder: Path) -> None:
    rows = POINTS // WIDTH
    rate, size = fill(str(folder / "store.db"), rows, WIDTH, "wide")
    show(
        f"into SQLite, rows of {WIDTH}, synced",
        f"{rate / 1e3:.0f} k points/s",
        f"plain table: {plain_rate(folder) / 1e3:.0f} k, not synced",
        f"≥ 500 k: {gate(rate >= 5e5)}",
    )
    show("  on disk, noise in every digit", f"{size:.1f} B a point", "", f"≤ 12: {gate(size <= 12)}")
    with postgres_url() as url:
        if url is None:
            show("into PostgreSQL", "no server: scripts/install-test-packages")
            return
        rate, size = fill(url, rows // 2, WIDTH, "wide")
        show(
            f"into PostgreSQL, rows of {WIDTH}, on memory",
            f"{rate / 1e3:.0f} k points/s",
            "",
            f"≥ 200 k: {gate(rate >= 2e5)}",
        )
        show("  on disk", f"{size:.1f} B a point", "", f"≤ 12: {gate(size <= 12)}")
        reader = Reader(url)
        chart("chart in PostgreSQL", reader, "wide", range(rows // 2))
        reader.close()


def postgres_url() -> "contextlib.AbstractContextManager[str | None]":
    """An empty database of a server of its own."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from standins.postgres_server import create_database, postgres, programs

    @contextlib.contextmanager
    def running() -> Iterator[str | None]:
        if programs() is None:
            yield None
            return
        with postgres() as url:
            yield create_database(url, "bench")

    return running()


def plain_rate(folder: Path) -> float:
    """Points a second into the table most people would make first, a million of them."""
    rows = min(100_000, POINTS // WIDTH)
    db = sqlite3.connect(folder / "plain-wide.db")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(
        "CREATE TABLE points (series INTEGER, step INTEGER, time REAL, value REAL, PRIMARY KEY (series, step))"
        " WITHOUT ROWID"
    )
    spent = 0.0
    for (part,) in parcels(make_session("plain", rank=0), rows, WIDTH):
        began = time.perf_counter()
        lines = [(place, row.step, row.time, value) for row in part.records for place, value in enumerate(row.values)]  # type: ignore[union-attr]
        with db:
            db.executemany("INSERT OR IGNORE INTO points VALUES (?, ?, ?, ?)", lines)
        spent += time.perf_counter() - began
    db.close()
    return rows * WIDTH / spent


def reading(folder: Path) -> None:
    """One series of all points, and the same in a plain table."""
    url = str(folder / "chart.db")
    rate, size = fill(url, POINTS, 1, "long")
    show("rows of one metric into SQLite", f"{rate / 1e3:.0f} k points/s", "", f"{size:.1f} B a point")
    plain = sqlite3.connect(folder / "plain.db")
    plain.execute("PRAGMA journal_mode = WAL")
    plain.execute("CREATE TABLE points (step INTEGER PRIMARY KEY, time REAL, value REAL)")
    for (part,) in parcels(make_session("plain", rank=0), POINTS, 1):
        with plain:
            plain.executemany(
                "INSERT INTO points VALUES (?, ?, ?)",
                [(row.step, row.time, row.values[0]) for row in part.records],  # type: ignore[union-attr]
            )
    reader = Reader(url)
    beside = plain_chart(plain, 0, POINTS)
    chart("whole chart", reader, "long", range(POINTS), f"plain table: {beside:.0f} ms", aim=50)
    for share in (2, 10, 40, 100, 1000):
        part = POINTS // share
        began = POINTS // 3
        beside = plain_chart(plain, began, began + part)
        chart(f"zoom into {part} points", reader, "long", range(began, began + part), f"plain table: {beside:.0f} ms")
    reader.close()
    plain.close()


def chart(what: str, reader: Reader, run: str, steps: range, beside: str = "", aim: float = 0) -> None:
    taken = []
    for turn in range(20):
        wanted = Range("step", steps.start + turn, steps.stop - 1)  # never the same twice: a page's zoom is not, either
        start = time.perf_counter()
        reader.curves(run, "train/m0", wanted, max_points=PIXELS)
        taken.append((time.perf_counter() - start) * 1000)
    p50, p95 = percentile(taken, 0.5), percentile(taken, 0.95)
    verdict = f"≤ {aim:.0f} ms: {gate(p95 <= aim)}" if aim else ""
    show(f"{what}, {PIXELS} pixels, p50 / p95", f"{p50:.0f} / {p95:.0f} ms", beside, verdict)


def plain_chart(db: sqlite3.Connection, first: int, end: int) -> float:
    """The same question in SQL: milliseconds, the best of three."""
    width = max(1, (end - first) // PIXELS)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        db.execute(
            "SELECT min(step), min(value), max(value), avg(value), count(*) FROM points WHERE step BETWEEN ? AND ?"
            " GROUP BY (step - ?) / ?",
            (first, end - 1, first, width),
        ).fetchall()
        best = min(best, time.perf_counter() - start)
    return best * 1000


def first_paint(folder: Path) -> None:
    """200 series of a run, each of so many points, as a page asks for them first."""
    rows = max(4000, POINTS // 200)
    url = str(folder / "paint.db")
    fill(url, rows, 200, "page")
    reader = Reader(url)
    start = time.perf_counter()
    reader.curves("page", [one.name for one in reader.series("page")], max_points=300)
    spent = time.perf_counter() - start
    show(f"200 charts of {rows} points, 300 pixels each", f"{spent * 1000:.0f} ms", "", f"≤ 1 s: {gate(spent <= 1)}")
    reader.close()


LOGGING = """
import wayside
run = wayside.init(project="bench", name="memory")
for step in range(20_000):
    wayside.log({f"m{place}": 0.5 * step for place in range(10)}, step=step)
wayside.finish()
print(1)
"""


def memory() -> None:
    """Resident megabytes with the default sinks: at rest, and after a burst."""
    with collector(sinks="{prometheus: {}, jsonl: {}, store: {}}") as running:
        time.sleep(5)
        rest = running.rss() / 1e6
        child(LOGGING, environ=running.environ)
        wait_for(lambda: not any(sink["waiting"] for sink in running.status()["sinks"].values()))
        after = running.rss() / 1e6
    with collector() as running:
        time.sleep(5)
        without = running.rss() / 1e6
    show(
        "collector at rest, store on · after 200 k points",
        f"{rest:.0f} · {after:.0f} MB",
        f"without the store {without:.0f} MB",
        f"≤ 64 MB: {gate(rest <= 64)}",
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wayside-bench-", dir=Path(__file__).parent) as name:
        writing(Path(name))
    with tempfile.TemporaryDirectory(prefix="wayside-bench-", dir=Path(__file__).parent) as name:
        reading(Path(name))
    with tempfile.TemporaryDirectory(prefix="wayside-bench-", dir=Path(__file__).parent) as name:
        first_paint(Path(name))
    memory()


if __name__ == "__main__":
    sys.exit(main())
