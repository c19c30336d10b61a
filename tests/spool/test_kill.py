"""SIGKILL of a process that writes a spool, at random instants."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from spool.making import WITHIN, as_contents, contents, make_batch, opened, put

KILLS = 30

HERE = Path(__file__).parents[1]

WRITE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from spool.making import begin, make_batch, opened
from wayside_collector.spool import SinkCommit
with opened(Path(sys.argv[1])) as spool:
    row = begin(spool)
    seq = row.next_seq
    while True:
        batches = []
        for size in (1, 40, 3000):
            batches.append(make_batch(row.key, seq, rows=size, events=size % 2))
            seq = batches[-1].next_seq
        told = spool.append(batches)
        commit = spool.commit(SinkCommit("sink", seq, {row.key: str(seq)}, str(seq), {"at": str(seq).encode()}))
        print(told.result()[-1].next_seq, "stored", flush=True)
        commit.result()
        print(seq, "committed", flush=True)
"""


def kill_a_writer(path: Path, delay: float) -> tuple[int, int]:
    """Let a process write and kill it some time after its first answer; what it told to be stored, and committed."""
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(path), str(HERE)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = {"stored": 0, "committed": 0}
    lines = [writer.stdout.readline()]
    time.sleep(delay)  # not for something to happen: the instant itself is what is tested
    writer.kill()
    lines += writer.stdout.readlines()
    writer.wait()
    writer.stdout.close()
    for line in lines:
        if line.endswith("\n"):
            number, kind = line.split()
            told[kind] = int(number)
    return told["stored"], told["committed"]


@pytest.mark.timeout(120)
def test_what_was_told_to_be_stored_survives_a_kill(tmp_path: Path) -> None:
    """After each of thirty kills: all that was acknowledged is there, no batch by half, and what a sink committed is of
    one moment. The seed of the instants stands in the output; WAYSIDE_SEED repeats one.
    """
    seed = os.environ.get("WAYSIDE_SEED") or str(random.SystemRandom().randrange(1 << 32))
    sys.stdout.write(f"WAYSIDE_SEED={seed}\n")
    chance = random.Random(seed)
    for _ in range(KILLS):
        stored, committed = kill_a_writer(tmp_path, chance.uniform(0.0, 0.06))
        with opened(tmp_path) as spool:
            assert spool.salvaged is None
            (row,) = spool.sessions()
            seqs = 0
            for _, first, following, rows, events in contents(spool).values():
                assert first == seqs
                size = {2: 1, 40: 40, 3000: 3000}[following - first]  # one row has an event behind it
                assert (rows, events) == as_contents(make_batch(row.key, first, rows=size, events=size % 2))[3:]
                seqs = following
            assert row.next_seq == seqs >= stored
            position, books = spool.sink("sink") or (0, "0")
            assert position >= committed
            assert (books, spool.cursors("sink").get(row.key, "0")) == (str(position), str(position))
            assert spool.state("sink").get("at", b"0") == str(position).encode()
    assert stored > 0


def test_a_file_that_nothing_refers_to_goes_at_the_next_start(tmp_path: Path) -> None:
    """What a crash leaves of a cycle that was not told to be stored; rubbish under other names is not touched."""
    with opened(tmp_path) as spool:
        row = spool.begin_session("0" * 31 + "1", b"", 0.0).result(WITHIN)
        put(spool, make_batch(row.key, 0))
    stray = tmp_path / "scalars-00000007.spool"
    stray.write_bytes(b"left over")
    (tmp_path / "notes-of-mine.spool").write_text("x")
    with opened(tmp_path) as spool:
        assert not stray.exists()
        assert (tmp_path / "notes-of-mine.spool").exists()
        assert len(contents(spool)) == 1
