"""The world an oracle watches: producers that claim, a collector, sinks that report, and everything a fault needs to
get at them.

The rule (Vector's conservation oracle is the model): every row a producer was told is accepted arrives, exactly once
where the sink promises that; nothing arrives that was never issued; what arrives is what was logged; and a fresh row
still gets through. `verdict.py` judges it, `faults.py` makes the faults.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memory import ENVIRON, MEMORY

from . import verdict
from .held import connect, rows_held
from .producer import CLAIM_SIZE, SLOTS, WIDTH, read_claims
from .receivers import Receivers
from .tally import Tally

STARTS_WITHIN = 60.0
SETTLES_WITHIN = 600.0
AIMS_WITHIN = 0.6  #: longer than any producer rests
SHARED = MEMORY / f"wayside-{os.getuid()}"


@dataclass
class Producer:
    """One trainer and its successors: each begins where the one before it stopped. style: as in `producer.py`.

    first: the first row of the process that runs now. skipped: the numbers that were issued, never accepted, and
    passed over by a successor: they may or may not arrive.
    """

    number: int
    claims: Path
    style: str = "rows"
    process: "subprocess.Popen[bytes] | None" = None
    first: int = 0
    skipped: set[int] = field(default_factory=set)

    def slots(self) -> list[int]:
        return [slot for slot in range(SLOTS) if read_claims(str(self.claims), slot)[0]]


@dataclass
class World:
    """Everything of one round. folder: files and logs. memory: the socket's folder, in memory when not given. spool:
    the spool's, in `folder` when not given. transport: "journal" or "socket". options: more of the spool's, as in
    ", max_size: 10MiB". collector_environ, producer_environ: put over the environment of one side. receivers: where
    the sinks beside jsonl and prometheus deliver to.
    """

    folder: Path
    seed: int
    transport: str = "journal"
    memory: Path | None = None
    spool: Path | None = None
    options: str = ""
    collector_environ: dict[str, str] = field(default_factory=dict)
    producer_environ: dict[str, str] = field(default_factory=dict)
    receivers: Receivers = field(default_factory=Receivers)
    producers: list[Producer] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    clock_moved: bool = False  # then nobody can say which of two sessions is the newer one

    def __post_init__(self) -> None:
        self.collector: subprocess.Popen[bytes] | None = None
        self.beside = self.memory or MEMORY / f"oracle-{self.seed}"
        self.beside.mkdir(parents=True, exist_ok=True)
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("WAYSIDE_", "WANDB_"))},
            "WAYSIDE_SOCKET": str(self.beside / "wayside.sock"),
            "WAYSIDE_DIR": str(self.folder / "kept"),
            "WAYSIDE_TRANSPORT": self.transport,
            "WAYSIDE_QUIET": "1",
            "WAYSIDE_DISABLE_GIT": "1",
            **ENVIRON,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        sinks = {"jsonl": {"path": f"{self.folder}/jsonl"}, "prometheus": {}, **self.receivers.sinks(self.folder)}
        (self.folder / "wayside.yaml").write_text(
            f"listen: 127.0.0.1:0\ndir: {self.folder}/kept\nsources: {{}}\ngrace: 30s\n"
            f"sinks: {json.dumps(sinks)}\nlog: {{level: warning}}\n"
            f"spool: {{path: {self.spool_db.parent}{self.options}}}\n"
        )

    # --- processes -------------------------------------------------------------------------------

    def begin_collector(self) -> None:
        """Start one, and do not wait for it."""
        self.note.unlink(missing_ok=True)
        command = [sys.executable, "-m", "wayside_collector", "run", "--config", str(self.folder / "wayside.yaml")]
        environ = {**self.environ, **self.collector_environ}
        with (self.folder / "collector.log").open("ab") as log:
            self.collector = subprocess.Popen(command, env=environ, stdout=log, stderr=log)

    def start_collector(self) -> None:
        self.begin_collector()

        def listens() -> bool:
            assert self.collector is not None
            if self.collector.poll() is not None:
                said = (self.folder / "collector.log").read_text(errors="replace")
                raise AssertionError(f"the collector ended with {self.collector.returncode}: {said[-2000:]}")
            return self.note.exists()

        wait_for(listens, STARTS_WITHIN, "the collector to listen")

    def start_producer(self, producer: Producer, pace: float) -> None:
        issued, accepted, _ = read_claims(str(producer.claims))
        producer.first = first = max(
            accepted, issued
        )  # a row issued and not accepted may have arrived: its number is not used again
        command = [sys.executable, str(Path(__file__).with_name("producer.py")), str(producer.claims)]
        command += [str(producer.number), str(first), str(pace), producer.style]
        environ = {**self.environ, "WORKLOAD_UID": f"workload-{producer.number}", **self.producer_environ}
        with (self.folder / f"producer-{producer.number}.log").open("ab") as log:
            producer.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        wait_for(lambda: read_claims(str(producer.claims))[1] > first, STARTS_WITHIN, "a producer's first row")

    def add_producer(self, style: str = "rows") -> Producer:
        claims = self.folder / f"claims-{len(self.producers)}"
        claims.write_bytes(bytes(CLAIM_SIZE))
        self.producers.append(Producer(len(self.producers), claims, style))
        return self.producers[-1]

    def restart_producer(self, producer: Producer, pace: float) -> None:
        """A successor goes on after the dead one's last number. Workers may outlive whoever forked them, so that one
        gets no successor but another producer.
        """
        if producer.style == "forks":
            self.start_producer(self.add_producer("forks"), pace)
            return
        issued, accepted, _ = read_claims(str(producer.claims))
        producer.skipped.update(range(accepted, issued))
        self.start_producer(producer, pace)

    def alive(self) -> list[Producer]:
        return [one for one in self.producers if one.process is not None and one.process.poll() is None]

    # --- kills -----------------------------------------------------------------------------------

    def aim(self, producer: Producer) -> None:
        """Wait for a moment in which the producer has just logged, so that a kill meets rows under way."""
        claims = producer.claims.read_bytes()
        until = time.monotonic() + AIMS_WITHIN
        while time.monotonic() < until and producer.claims.read_bytes() == claims:
            pass

    def kill_producer(self, producer: Producer) -> None:
        """SIGKILL; it hit when what the dead left was not all let go."""
        assert producer.process is not None
        self.aim(producer)
        producer.process.kill()
        producer.process.wait()
        self.tally.kills += 1
        self.tally.kills_with_rows_held += rows_held(self.journals(), self.spool_db, only_dead=True)

    def kill_collector(self) -> None:
        """SIGKILL; it hit when it left rows that are not stored."""
        assert self.collector is not None
        self.note_doubles()
        self.collector.kill()
        self.collector.wait()
        self.tally.kills += 1
        self.tally.kills_with_rows_held += rows_held(self.journals(), self.spool_db)

    def journals(self) -> list[Path]:
        """Every journal's folder there is. One begun anew while the socket's folder was gone lies in a place that all
        worlds share.
        """
        own = [*self.beside.glob("journals/*"), *(self.folder / "kept").glob("journals/*")]
        return own + [path for path in SHARED.glob("journals/*") if self._names_us(path)]

    def _names_us(self, journal: Path) -> bool:
        """Whether the session's record, which stands in each of its segments, names our socket."""
        for path in journal.glob("*.seg"):
            with contextlib.suppress(OSError), path.open("rb") as file:
                if str(self.beside).encode() in file.read(8192):
                    return True
        return False

    def note_doubles(self) -> None:
        """Before the collector that counted them is gone; one that is frozen cannot be asked."""
        with contextlib.suppress(OSError, ValueError):
            self.tally.doubles += int(self.status(timeout=1.0)["ingest"]["doubles"])

    # --- questions -------------------------------------------------------------------------------

    @property
    def note(self) -> Path:
        return self.beside / "collector.json"

    @property
    def url(self) -> str:
        return str(json.loads(self.note.read_text())["url"])

    @property
    def spool_db(self) -> Path:
        return (self.spool or self.folder / "kept" / "spool") / "spool.db"

    def status(self, timeout: float = 30.0) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}status", timeout=timeout) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def page(self) -> str:
        with urllib.request.urlopen(f"{self.url}metrics", timeout=30) as answer:
            text: bytes = answer.read()
        return text.decode()

    def settle(self) -> dict[str, Any]:
        """Wait until every session is over and nothing waits; the status then."""

        def settled() -> bool:
            status = self.status()
            sessions = all(session["state"] == "ended" for session in status["sessions"])
            waiting = any(sink["waiting"] for sink in status["sinks"].values())
            return sessions and not waiting and not any(list(path.glob("*.seg")) for path in self.journals())

        try:
            wait_for(settled, SETTLES_WITHIN, "everything to be delivered")
        except TimeoutError as late:
            left = [str(path) for journal in self.journals() for path in journal.glob("*")]
            said = (self.folder / "collector.log").read_text(errors="replace")[-3000:]
            raise TimeoutError(f"{late}: {json.dumps(self.status())}; left: {left}; the log: {said}") from None
        return self.status()

    def lost(self) -> dict[str, int]:
        """Rows of each run that clients dropped for want of journal, as the collector booked them: in points, since
        dropped events, such as the client's own counters each ten seconds, count among the rows and hold none.
        """
        query = (
            f"SELECT sessions.record, sum(lost.points) / {WIDTH} FROM lost JOIN sessions ON lost.session = sessions.key"
        )
        return self._of_runs(f"{query} GROUP BY lost.session")

    def _of_runs(self, query: str) -> dict[str, int]:
        """The sum of what a query finds of each session's record, by run."""
        found: dict[str, int] = {}
        with contextlib.closing(connect(self.spool_db)) as db:
            for record, count in db.execute(query):
                run = verdict.run_of(record)
                found[run] = found.get(run, 0) + count
        return found

    def conclude(self) -> list[str]:
        """Kill the producers, let everything arrive, and say what broke the rule. Rows that clients dropped for want
        of a journal count as told when they were booked.
        """
        for producer in self.alive():
            self.kill_producer(producer)
        return verdict.judge(self, self.settle())

    def close(self) -> None:
        for process in [self.collector, *(producer.process for producer in self.producers)]:
            if process is not None and process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                    process.kill()
                process.wait()
        self.receivers.close()
        for journal in self.journals():
            if journal.is_relative_to(SHARED):
                shutil.rmtree(journal, ignore_errors=True)
        shutil.rmtree(self.beside, ignore_errors=True)


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    pause = 0.02
    while True:
        with contextlib.suppress(OSError, ValueError):
            if condition():
                return
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(pause)
        pause = min(5.0, pause * 1.2)  # a collector with a thousand sessions has better to do than to tell its status
