"""`make soak`: rounds of random faults until so many kills have been made; prints each round's seed, and stops at the
first broken rule.

PYTHONPATH=tests python -m oracle.soak --kills 1000
PYTHONPATH=tests python -m oracle.soak --seed 12345 --rounds 1        play one round again
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import memory

from .faults import FAULTS
from .instruments import impossible
from .rounds import play
from .tally import Tally

ENOUGH = 300  #: kills from which on every kind of fault must have been made


def main() -> int:
    chosen = _arguments()
    for problem in (problems := impossible()):
        print(f"a fault cannot be made here: {problem}", flush=True)
    if problems:
        return 2
    total = Tally()
    began = time.monotonic()
    for number in range(chosen.rounds):
        seed = chosen.seed + number
        transport = chosen.transport if chosen.transport != "both" else ("journal", "socket")[seed % 2]
        folder = Path(tempfile.mkdtemp(prefix="wayside-soak-"))
        try:
            world, problems = play(folder, seed, chosen.faults, transport=transport)
        except Exception:  # noqa: BLE001 -- whatever it was, the seed must be told
            print(f"BROKEN OFF, seed {seed}, {transport}; what is left lies in {folder}", flush=True)
            traceback.print_exc()
            return 1
        total.add(world.tally)
        print(f"round {number}, seed {seed}, {transport}: {_tell(total)}, {time.monotonic() - began:.0f} s", flush=True)
        if problems:
            print(f"BROKEN, seed {seed}; what is left lies in {folder}", *problems, sep="\n  ", flush=True)
            return 1
        shutil.rmtree(folder)
        if total.kills >= chosen.kills:
            break
    return _conclude(total)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--faults", type=int, default=60, help="of one round")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--transport", choices=("journal", "socket", "both"), default="both")
    return parser.parse_args()


def _tell(tally: Tally) -> str:
    return f"{tally.kills} kills, {tally.kills_with_rows_held} with rows held, {tally.doubles} doubles refused"


def _conclude(total: Tally) -> int:
    """What was made, and whether it was enough to prove anything."""
    for name, count in sorted(total.faults.items()):
        print(f"  {count:6} {name}")
    weak = []
    if total.kills_with_rows_held < 0.9 * total.kills:
        weak.append(f"only {total.kills_with_rows_held} of {total.kills} kills met rows that were not yet let go")
    if total.doubles < 10:
        weak.append(f"only {total.doubles} rows were read twice")
    if total.kills >= ENOUGH and (never := [name for name in FAULTS if not total.faults[name]]):
        weak.append(f"never made: {', '.join(never)}")
    print(f"{_tell(total)}: 0 lost, 0 doubled")
    for what in weak:
        print(f"but the faults did not really hit: {what}")
    return int(bool(weak))


if __name__ == "__main__":
    memory.begin()
    try:
        sys.exit(main())
    finally:
        memory.end()
