"""A collector in miniature, to be killed: delivers the same rows as often as it is started, until all are done.

    python wandb_collector.py OPTIONS FOLDER ROWS        (options as JSON)

Two sessions of one run with ROWS rows each, whose value `x` is the row's number, and 20 samples. Each parcel is cut
and mixed differently. Says `ready` when its first parcel is on its way, and at the end `done`, and whether it has
imported wandb.
"""

import asyncio
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from standins.wandb_pump import MiniPump, steps
from wayside_collector.sinks.base import Parcel, Part
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.testing import make_rows, make_session

SAMPLES = 20


async def collect(options: WandbOptions, folder: Path, rows: int) -> None:
    sessions = [make_session("r1", rank=0, id=f"{number:032x}") for number in (1, 2)]
    system = make_session("sys", kind="system", id=f"{9:032x}")
    every = [(session, steps(rows), ()) for session in sessions]
    samples = make_rows(SAMPLES, {"gpu/0/utilization_ratio": 0.5}, time=1e9)
    async with MiniPump(options, folder, state_file=folder / "pump.json") as pump:
        said = False
        while True:
            parts = [
                Part(session, left[: random.randint(1, 300)], runs)
                for session, records, runs in [*every, (system, samples, (sessions[0],))]
                if (left := [r for r in records if (session.id, seq_of(r)) not in pump.done])
            ]
            if not parts:
                break
            random.shuffle(parts)
            if not said:
                said = True
                sys.stdout.write("ready\n")
                sys.stdout.flush()
            await pump.deliver(Parcel(parts), 60)
    sys.stdout.write(f"done {'wandb' in sys.modules}\n")


def seq_of(record: object) -> int:
    return record.seqs[0] if hasattr(record, "seqs") else record.seq  # type: ignore[attr-defined]


if __name__ == "__main__":
    asyncio.run(collect(WandbOptions(**json.loads(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])))
