"""A store full of runs to look at, written as the store's sink writes: what a small team did in a week."""

import math
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from wayside.row import ABOUT, ALERT, CONFIG, FINISH, Event, Row
from wayside_collector.session import Run, Session
from wayside_collector.sinks.base import Part
from wayside_collector.store import Writer, connect
from wayside_collector.testing import make_session

START = 1_767_225_600.0  #: when the first run began: 2026-01-01
PARCEL = 4000  #: rows, as the sink takes them
SPIKE = (654_321, 1_000_000.0)  #: the one step of a million that is far off, and its value

ABOUT_RUN: dict[str, Any] = {
    "command": ["train.py", "--lr", "2e-4", "--config", "configs/llama 8b.yaml"],
    "python": "3.11.9",
    "host": "node-17",
    "platform": "Linux-6.8.0-x86_64-glibc2.36",
    "cpu_count": 192,
    "world_size": 2,
    "launcher": "torchrun",
    "git": {
        "commit": "4f1d0c9a7be25b0f3a6c1d8e9f00112233445566",
        "branch": "longer-context",
        "remote": "https://git.example/lab/llm.git",
        "dirty": True,
        "diff": "diff --git a/train.py b/train.py\n@@ -1,3 +1,3 @@\n-lr = 1e-4\n+lr = 2e-4\n model.train()\n",
    },
    "packages": {"numpy": "2.4.6", "torch": "2.9.1", "transformers": "5.1.0", "wayside": "0.1.0"},
    "problems": [],
}


class Filler:
    """Writes into one store."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = connect(str(path))
        self._db.migrate()
        self._writer = Writer(self._db)

    def close(self) -> None:
        self._db.close()

    def write(self, session: Session, records: Iterable[Row | Event], open_runs: tuple[Session, ...] = ()) -> None:
        lot: list[Row | Event] = []
        for record in records:
            lot.append(record)
            if len(lot) == PARCEL:
                self._writer.write([Part(session, lot, open_runs)])
                lot = []
        if lot:
            self._writer.write([Part(session, lot, open_runs)])


def session_of(id: str, name: str, begun: float, rank: int | None = 0, **run: Any) -> Session:
    described = Run(id=id, name=name, project=run.pop("project", "llama-sft"), **run)
    record = {"run": described, "rank": rank, "world_size": 2, "workload": f"job-{id}", "pid": 4242}
    return Session(session=uuid5(NAMESPACE_URL, f"{id}/{rank}").hex, host="node-17", started=begun, **record)


def training(begun: float, steps: int, *, level: float, noise: random.Random, every: float = 2.0) -> Iterator[Row]:
    """Rows of a run whose loss falls to `level`, the way losses do."""
    seq = 10
    for step in range(steps):
        loss = level + 2.1 / (1 + step / 60) + noise.gauss(0, 0.04)
        metrics = {
            "train/loss": loss,
            "train/lr": 2e-4 * min(1.0, step / 100) * (0.55 + 0.45 * math.cos(math.pi * step / steps)),
            "train/grad_norm": 1.2 + 3 / (1 + step / 30) + abs(noise.gauss(0, 0.3)),
            "train/tokens_per_s": 41_000 + noise.gauss(0, 900) - (9000 if 400 <= step < 430 else 0),
            "perf/step_seconds": every + noise.gauss(0, 0.02),
        }
        if step % 50 == 49:
            metrics["val/loss"] = level + 0.08 + 1.9 / (1 + step / 55)
            metrics["val/accuracy"] = 0.82 - 0.5 / (1 + step / 80)
        yield Row(seq, begun + step * every, step, True, False, tuple(metrics), tuple(metrics.values()))
        seq += 1


def hardware(begun: float, seconds: int, noise: random.Random) -> Iterator[Row]:
    """What samplers tell of two GPUs and a host."""
    for seq, at in enumerate(range(0, seconds, 5)):
        metrics = {
            "host/cpu_utilization_ratio": 0.31 + noise.gauss(0, 0.03),
            "host/memory_used_bytes": 2.1e11 + at * 1e6,
        }
        for gpu in (0, 1):
            busy = 0.97 if not 800 <= at < 860 else 0.05
            metrics[f"gpu/{gpu}/utilization_ratio"] = min(1.0, max(0.0, busy + noise.gauss(0, 0.02)))
            metrics[f"gpu/{gpu}/power_watts"] = 640 * busy + noise.gauss(0, 12) + 30 * gpu
            metrics[f"gpu/{gpu}/memory_used_bytes"] = 7.1e10 + gpu * 2e9
        metrics["network/eth0/transmit_bytes_total"] = 9e9 + at * 2.5e8
        yield Row(seq, begun + at, None, True, False, tuple(metrics), tuple(metrics.values()))


def fill_usual(path: Path) -> None:
    """Runs in each state, two of them with much in common."""
    filler, noise = Filler(path), random.Random(7)
    for place, (id, name, lr, level) in enumerate(
        [("sft-1", "llama-8b lr 1e-4", 1e-4, 1.32), ("sft-2", "llama-8b lr 2e-4", 2e-4, 1.21)]
    ):
        begun = START + place * 7200
        first = session_of(
            id, name, begun, 0, tags=("baseline",) if place == 0 else ("long", "best"), notes="8k context"
        )
        config = {"lr": lr, "batch_size": 512, "optimizer": {"name": "adamw", "betas": [0.9, 0.95]}}
        filler.write(first, _opening(begun, config))
        second = session_of(id, name, begun, 1)
        system = make_session(f"sampler-{place}", kind="system", host="node-17", started=begun)
        filler.write(first, training(begun, 1000, level=level, noise=noise))
        filler.write(second, training(begun, 1000, level=level + 0.05, noise=noise))
        filler.write(system, hardware(begun, 2000, noise), (first, second))
        alert = {"title": "Throughput fell", "text": "by a fifth, for a minute", "level": "WARN", "wait": 0}
        target = Row(5000, begun + 2001, 999, True, False, ("target_iteration",), (1000.0,))
        filler.write(first, [Event(6000, begun + 805, 402, ALERT, alert), target, _end(begun + 2002, 0)])
        filler.write(second, [_end(begun + 2002, 0)])
    _fill_unhappy(filler, noise)
    filler.close()


def _fill_unhappy(filler: Filler, noise: random.Random) -> None:
    crashed = session_of("moe-1", "moe-16x without warm-up", START + 20_000, project="moe", tags=("long",))
    filler.write(crashed, [*training(START + 20_000, 120, level=2.0, noise=noise), _end(START + 20_300, None)])
    failed = session_of("moe-2", "moe-16x, diverged", START + 30_000, project="moe")
    rows = [
        Row(seq, START + 30_000 + seq, seq, True, False, ("train/loss",), (3.0 - seq / 40 if seq < 60 else math.nan,))
        for seq in range(80)
    ]
    filler.write(failed, [*rows, _end(START + 30_090, 1)])
    empty = session_of("empty-1", "smoke test", START + 40_000, project="moe")
    filler.write(empty, [_end(START + 40_005, 0)])


def fill_million(path: Path, steps: int = 1_000_000) -> None:
    """One run with one metric of a million points, of which one is far off."""
    filler = Filler(path)
    session = session_of("million", "a million steps", START)
    names, noise = ("train/loss",), [random.Random(3).random() for _ in range(1009)]
    filler.write(
        session,
        (
            Row(
                step,
                START + step / 10,
                step,
                True,
                False,
                names,
                (SPIKE[1] if step == SPIKE[0] else noise[step % 1009],),
            )
            for step in range(steps)
        ),
    )
    filler.write(session, [_end(START + steps / 10, 0, seq=steps + 1)])
    filler.close()


def _opening(begun: float, config: dict[str, Any]) -> list[Event]:
    return [Event(0, begun, None, CONFIG, {"set": config}), Event(1, begun + 1, None, ABOUT, ABOUT_RUN)]


def _end(at: float, code: int | None, *, seq: int = 9_000_000) -> Event:
    return Event(seq, at, None, FINISH, {"exit_code": code})
