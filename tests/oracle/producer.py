"""A trainer that claims what it logs: before and after each `log()` it writes down, in a mapped file that outlives
it, how far it is.

    python producer.py CLAIM_FILE PRODUCER FIRST_ROW PACE_SECONDS

Row n of producer p has the metrics `payload(p, n)`: whoever finds a row can tell whether it is one that was logged.
"""

import mmap
import os
import random
import struct
import sys
import time

CLAIM_SIZE = 4096


def payload(producer: int, number: int) -> dict[str, float]:
    """What row `number` of a producer holds."""
    return {"oracle/producer": float(producer), "oracle/number": float(number), "oracle/check": check(producer, number)}


def check(producer: int, number: int) -> float:
    return float((producer * 1_000_003 + number * 7919) % 65537)


def main() -> None:
    path, producer, first, pace = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    import wayside

    with open(path, "r+b") as file:
        claims = mmap.mmap(file.fileno(), CLAIM_SIZE)
    words = memoryview(claims).cast("Q")  # 0: issued, 1: accepted, both as the next row's number
    run = wayside.init(project="oracle", id=f"producer-{producer}")
    random.seed(producer * 31 + first)
    number = first
    words[2] = os.getpid()
    while True:
        words[0] = number + 1
        run.log(payload(producer, number), step=number)
        words[1] = number + 1
        number += 1
        if pace and number % 64 == 0:
            time.sleep(pace * random.random())


def read_claims(path: str) -> tuple[int, int, int]:
    """How many rows were issued, how many accepted, and the pid that was last at it."""
    with open(path, "rb") as file:
        issued, accepted, pid = struct.unpack("QQQ", file.read(24))
    return issued, accepted, pid


if __name__ == "__main__":
    main()
