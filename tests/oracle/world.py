"""The world an oracle watches: producers that claim, a collector, sinks that report, and faults from a seeded hand.

The rule (Vector's conservation oracle is the model): every row a producer was told is accepted arrives, exactly once
where the sink promises that; nothing arrives that was never issued; what arrives is what was logged; and a fresh row
still gets through.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .producer import CLAIM_SIZE, payload, read_claims

STARTS_WITHIN = 60.0
SETTLES_WITHIN = 120.0


@dataclass
class Tally:
    """That the faults really hit: kills while a row was not yet let go, doubles refused when it was read again."""

    kills: int = 0
    kills_with_rows_held: int = 0
    doubles: int = 0
    freezes: int = 0


@dataclass
class Producer:
    """One trainer and its successors: each begins where the one before it stopped."""

    number: int
    claims: Path
    process: "subprocess.Popen[bytes] | None" = None


@dataclass
class World:
    """Everything of one round. folder: spool, files and logs. memory: the socket's folder, in memory when not given.
    transport: "journal" or "socket". options: more lines of the configuration. collector_environ, producer_environ:
    put over the environment of one side.
    """

    folder: Path
    seed: int
    transport: str = "journal"
    memory: Path | None = None
    options: str = ""
    collector_environ: dict[str, str] = field(default_factory=dict)
    producer_environ: dict[str, str] = field(default_factory=dict)
    producers: list[Producer] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.collector: subprocess.Popen[bytes] | None = None
        self.beside = self.memory or Path("/dev/shm") / f"wayside-oracle-{os.getpid()}-{self.seed}"
        self.beside.mkdir(parents=True, exist_ok=True)
        self.environ = {
            **os.environ,
            "WAYSIDE_SOCKET": str(self.beside / "wayside.sock"),
            "WAYSIDE_DIR": str(self.folder / "kept"),
            "WAYSIDE_TRANSPORT": self.transport,
            "WAYSIDE_QUIET": "1",
            "WAYSIDE_DISABLE_GIT": "1",
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "wayside.yaml").write_text(
            f"listen: 127.0.0.1:0\ndir: {self.folder}/kept\nsources: {{}}\ngrace: 30s\n"
            f"sinks: {{jsonl: {{path: {self.folder}/jsonl}}, prometheus: {{}}}}\nlog: {{level: warning}}\n"
            f"{self.options}"
        )

    # --- processes -------------------------------------------------------------------------------

    def start_collector(self) -> None:
        note = self.beside / "collector.json"
        note.unlink(missing_ok=True)
        command = [sys.executable, "-m", "wayside_collector", "run", "--config", str(self.folder / "wayside.yaml")]
        environ = {**self.environ, **self.collector_environ}
        with (self.folder / "collector.log").open("ab") as log:
            self.collector = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        wait_for(note.exists, STARTS_WITHIN, "the collector to listen")

    def start_producer(self, producer: Producer, pace: float) -> None:
        _, accepted, _ = read_claims(str(producer.claims))
        issued, _, _ = read_claims(str(producer.claims))
        first = max(accepted, issued)  # a row issued and not accepted may have arrived: its number is not used again
        command = [sys.executable, str(Path(__file__).with_name("producer.py")), str(producer.claims)]
        command += [str(producer.number), str(first), str(pace)]
        environ = {**self.environ, **self.producer_environ}
        with (self.folder / f"producer-{producer.number}.log").open("ab") as log:
            producer.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        wait_for(lambda: read_claims(str(producer.claims))[1] > first, STARTS_WITHIN, "a producer's first row")

    def add_producer(self) -> Producer:
        claims = self.folder / f"claims-{len(self.producers)}"
        claims.write_bytes(bytes(CLAIM_SIZE))
        self.producers.append(Producer(len(self.producers), claims))
        return self.producers[-1]

    # --- faults ----------------------------------------------------------------------------------

    def kill_producer(self, producer: Producer) -> None:
        assert producer.process is not None
        self._note_held()
        producer.process.kill()
        producer.process.wait()
        self.tally.kills += 1

    def kill_collector(self) -> None:
        assert self.collector is not None
        self._note_held()
        self.note_doubles()
        self.collector.kill()
        self.collector.wait()
        self.tally.kills += 1

    def freeze_collector(self, seconds: float) -> None:
        assert self.collector is not None
        self.collector.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.collector.send_signal(signal.SIGCONT)
        self.tally.freezes += 1

    def _note_held(self) -> None:
        """Whether some journal holds rows that the collector has not let go."""
        segments = list(self.beside.glob("journals/*/*.seg")) + list((self.folder / "kept").glob("journals/*/*.seg"))
        if segments:
            self.tally.kills_with_rows_held += 1

    def note_doubles(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.tally.doubles += int(self.status()["ingest"]["doubles"])

    # --- questions -------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        url = json.loads((self.beside / "collector.json").read_text())["url"]
        with urllib.request.urlopen(f"{url}status", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def settle(self) -> dict[str, Any]:
        """Wait until every session is over and nothing waits; the status then."""

        def settled() -> bool:
            status = self.status()
            sessions = all(session["state"] == "ended" for session in status["sessions"])
            waiting = any(sink["waiting"] for sink in status["sinks"].values())
            return sessions and not waiting and not list(self.beside.glob("journals/*/*.seg"))

        try:
            wait_for(settled, SETTLES_WITHIN, "everything to be delivered")
        except TimeoutError as late:
            left = [str(path) for path in self.beside.glob("journals/*/*")]
            raise TimeoutError(f"{late}: {json.dumps(self.status())}; left: {left}") from None
        return self.status()

    def booked_as_lost(self) -> int:
        """Rows that clients dropped for want of journal, and the collector booked, over all its lives."""
        with contextlib.closing(sqlite3.connect(Path(self.status()["spool"]["path"]) / "spool.db")) as db:
            rows: int = db.execute("SELECT coalesce(sum(rows), 0) FROM lost").fetchone()[0]
        return rows

    def verdict(self) -> list[str]:
        """What broke the rule; empty when nothing did."""
        problems: list[str] = []
        arrived: dict[int, Counter[int]] = {producer.number: Counter() for producer in self.producers}
        for path in sorted((self.folder / "jsonl").glob("*.jsonl")):
            for line in path.read_text().splitlines():
                row = json.loads(line)
                metrics = row.get("metrics")
                if metrics is None:
                    continue
                producer, number = int(metrics["oracle/producer"]), int(metrics["oracle/number"])
                if metrics != payload(producer, number) or row["step"] != number:
                    problems.append(f"producer {producer} row {number} arrived as {line:.200}")
                arrived[producer][number] += 1
        for producer in self.producers:
            problems += self._judge(producer, arrived[producer.number])
        return problems

    def _judge(self, producer: Producer, arrived: Counter[int]) -> list[str]:
        issued, accepted, _ = read_claims(str(producer.claims))
        skipped = self.skipped(producer)
        missing = [number for number in range(accepted) if number not in arrived and number not in skipped]
        doubled = [number for number, count in arrived.items() if count > 1]
        never = [number for number in arrived if number >= issued]
        problems = []
        for what, rows in (("accepted and missing", missing), ("doubled", doubled), ("never issued", never)):
            if rows:
                problems.append(f"producer {producer.number}: {len(rows)} rows {what}, such as {rows[:5]}")
        return problems

    def skipped(self, producer: Producer) -> set[int]:
        """Numbers issued, never accepted, and passed over by the next process: they may or may not arrive."""
        return self._skipped.get(producer.number, set())

    _skipped: dict[int, set[int]] = field(default_factory=dict)

    def restart_producer(self, producer: Producer, pace: float) -> None:
        """A successor goes on after the dead one's last number."""
        issued, accepted, _ = read_claims(str(producer.claims))
        self._skipped.setdefault(producer.number, set()).update(range(accepted, issued))
        self.start_producer(producer, pace)

    def conclude(self) -> list[str]:
        """Kill the producers, let everything arrive, and say what broke the rule. Rows that clients dropped for want
        of a journal count as told when they were booked.
        """
        for producer in self.producers:
            if producer.process is not None and producer.process.poll() is None:
                self.kill_producer(producer)
        status = self.settle()
        problems = self.verdict()
        for name, sink in status["sinks"].items():
            if sink["received"] != sink["delivered"] + sink["waiting"] + sum(sink["dropped"].values()):
                problems.append(f"the books of {name} do not balance: {sink}")
        missing = [problem for problem in problems if "missing" in problem]
        count = sum(int(problem.split(":")[1].split()[0]) for problem in missing)
        booked = self.booked_as_lost()
        rest = [problem for problem in problems if "missing" not in problem]
        return rest + ([f"{count} rows missing, {booked} of them booked", *missing] if count > booked else [])

    def close(self) -> None:
        for process in [self.collector, *(producer.process for producer in self.producers)]:
            if process is not None and process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                    process.kill()
                process.wait()
        shutil.rmtree(self.beside, ignore_errors=True)


def wait_for(condition: Any, seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, ValueError):
            if condition():
                return
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)
