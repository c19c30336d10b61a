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
from pathlib import Path

from .rounds import play


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--faults", type=int, default=15, help="of one round")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--transport", choices=("journal", "socket", "both"), default="both")
    chosen = parser.parse_args()
    kills = held = doubles = 0
    began = time.monotonic()
    for number in range(chosen.rounds):
        seed = chosen.seed + number
        transport = chosen.transport if chosen.transport != "both" else ("journal", "socket")[seed % 2]
        folder = Path(tempfile.mkdtemp(prefix="wayside-soak-"))
        world, problems = play(folder, seed, chosen.faults, transport=transport)
        tally = world.tally
        kills, held, doubles = kills + tally.kills, held + tally.kills_with_rows_held, doubles + tally.doubles
        seconds = time.monotonic() - began
        tallied = f"{kills} kills, {held} with rows held, {doubles} doubles refused, {seconds:.0f} s"
        print(f"round {number}, seed {seed}, {transport}: {tallied}", flush=True)
        if problems:
            print(f"BROKEN, seed {seed}; what is left lies in {folder}", *problems, sep="\n  ", flush=True)
            return 1
        shutil.rmtree(folder)
        if kills >= chosen.kills:
            break
    weak = held < 0.9 * kills or doubles < 10
    print(f"{kills} kills: 0 lost, 0 doubled" + ("; but the faults did not really hit" if weak else ""), flush=True)
    return int(weak)


if __name__ == "__main__":
    sys.exit(main())
