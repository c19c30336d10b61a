"""A trainer that claims what it logs: before and after each `log()` it writes down, in a mapped file that outlives
it, how far it is.

    python producer.py CLAIM_FILE PRODUCER FIRST_ROW PACE_SECONDS STYLE

Row n of claimant c has the metrics `payload(c, n, …)`: whoever finds a row can tell whether it is one that was logged.
STYLE: "rows" logs them in one loop; "shown" does it more slowly, under names that every sink is given; "forks" logs
from a second thread while the first one forks workers, each a claimant of its own, that log and exit or are killed.
"""

import mmap
import os
import random
import select
import signal
import struct
import sys
import threading

CLAIM_SIZE = 4096
SLOTS = 128  #: claimants of one file: the process itself, and the workers it forked
WORDS = CLAIM_SIZE // 8 // SLOTS
ISSUED, ACCEPTED, PID = 0, 1, 2
WIDTH = 3  #: points of a row
WORKER_ROWS = 100
TIGHT_ROWS = 20_000  #: some 40 ms
TIGHT_REST = 0.5


def payload(claimant: int, number: int, prefix: str = "oracle") -> dict[str, float]:
    """What row `number` of a claimant holds."""
    checked = float((claimant * 1_000_003 + number * 7919) % 65537)
    return {f"{prefix}/claimant": float(claimant), f"{prefix}/number": float(number), f"{prefix}/check": checked}


def read_claims(path: str, slot: int = 0) -> tuple[int, int, int]:
    """How many rows were issued, how many accepted, each as the next one's number, and the pid that was last at it."""
    with open(path, "rb") as file:
        file.seek(slot * WORDS * 8)
        issued, accepted, pid = struct.unpack("QQQ", file.read(24))
    return issued, accepted, pid


class Claims:
    """The mapped file of one producer."""

    def __init__(self, path: str, producer: int, prefix: str) -> None:
        with open(path, "r+b") as file:
            self.words = memoryview(mmap.mmap(file.fileno(), CLAIM_SIZE)).cast("Q")
        self.producer = producer
        self.prefix = prefix

    def log(self, log: object, slot: int, number: int) -> None:
        """One row, claimed."""
        row = payload(self.producer * SLOTS + slot, number, self.prefix)
        self.words[slot * WORDS + ISSUED] = number + 1
        log(row, step=number)  # type: ignore[operator]
        self.words[slot * WORDS + ACCEPTED] = number + 1

    def begin(self, slot: int) -> None:
        self.words[slot * WORDS + PID] = os.getpid()


def rest(seconds: float) -> None:
    """Sleep, also under libfaketime, where time.sleep fails when it leaves the monotonic clock alone."""
    select.select([], [], [], seconds)


def log_rows(claims: Claims, log: object, first: int, pace: float, at_once: int = 64) -> None:
    """pace: seconds after so many rows, at most; 0 for a tight loop that rests once in a while, so that a machine can
    keep up with what it logs.
    """
    if not pace:
        pace, at_once = TIGHT_REST, TIGHT_ROWS
    number = first
    while True:
        claims.log(log, 0, number)
        number += 1
        if number % at_once == 0:
            rest(pace * random.random())


def fork_workers(claims: Claims, log: object) -> None:
    """Each worker logs as it likes, and ends without a word, or is killed."""
    for slot in range(1, SLOTS):
        rest(0.1 * random.random())
        end = random.choice(["exit", "kill", "stay"])
        if os.fork() == 0:
            claims.begin(slot)
            for number in range(WORKER_ROWS):
                claims.log(log, slot, number)
                if end == "stay":
                    rest(0.005)
            if end == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(0)
    threading.Event().wait()


def main() -> None:
    path, producer, first, pace, style = (
        sys.argv[1],
        int(sys.argv[2]),
        int(sys.argv[3]),
        float(sys.argv[4]),
        sys.argv[5],
    )
    import wayside

    claims = Claims(path, producer, "shown" if style == "shown" else "oracle")
    run = wayside.init(project="oracle", id=f"producer-{producer}")
    random.seed(producer * 31 + first)
    claims.begin(0)
    if style == "forks":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the workers
        threading.Thread(target=log_rows, args=(claims, run.log, first, max(pace, 0.002)), daemon=True).start()
        fork_workers(claims, run.log)
    log_rows(claims, run.log, first, pace, 16 if style == "shown" else 64)


if __name__ == "__main__":
    main()
