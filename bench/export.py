"""`wayside-collector export`: seconds and memory for ten million points in each format, beside a script that writes the
same numbers from a plain table of a column for each metric.

    python bench/run.py export          POINTS=1000000 python bench/run.py export      smaller
"""

import csv
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from wayside_collector.testing import make_session

from bench.harness import scratch, show
from bench.store import POINTS, WIDTH, fill, parcels


def run(*command: str) -> tuple[float, float]:
    """Seconds, and the most memory it held in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - began, used.ru_maxrss / 1024


def plain(folder: Path, rows: int) -> float:
    """Seconds for Python's own sqlite3 and csv."""
    db = sqlite3.connect(folder / "plain.db")
    columns = ", ".join(f"m{number} REAL" for number in range(WIDTH))
    db.execute(f"CREATE TABLE rows (step INTEGER PRIMARY KEY, time REAL, {columns})")
    places = ", ".join("?" * (WIDTH + 2))
    for (part,) in parcels(make_session("plain", rank=0), rows, WIDTH):
        with db:
            lines = [(row.step, row.time, *row.values) for row in part.records]  # type: ignore[union-attr]
            db.executemany(f"INSERT INTO rows VALUES ({places})", lines)
    began = time.perf_counter()
    with (folder / "plain.csv").open("w", newline="") as file:
        csv.writer(file).writerows(db.execute("SELECT * FROM rows ORDER BY step"))
    spent = time.perf_counter() - began
    db.close()
    return spent


def main() -> None:
    rows = POINTS // WIDTH
    with scratch() as folder:
        fill(str(folder / "store.db"), rows, WIDTH, "wide")
        peer = f"Python's sqlite3 and csv: {plain(folder, rows):.1f} s"
        for name, ending, form in (
            *(("as CSV", "csv", "wide"), ("as JSON", "json", "wide"), ("as Parquet", "parquet", "wide")),
            ("as CSV, a line a point", "csv", "long"),
        ):
            command = (sys.executable, "-m", "wayside_collector", "export", "wide", "--store", str(folder / "store.db"))
            spent, memory = run(*command, "-o", str(folder / f"out-{form}.{ending}"), "--form", form)
            show(
                f"{POINTS / 1e6:g} M points {name}", f"{spent:.1f} s, {memory:.0f} MB", peer if name == "as CSV" else ""
            )
