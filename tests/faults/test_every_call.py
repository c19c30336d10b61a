"""One cycle of the spool, with each single call that it makes on the disk failing, or being its last: nothing that was
told to be stored is missing, nothing is there twice, and what a sink committed is of one moment.
"""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from oracle.instruments import Shim
from spool.making import contents, opened

pytestmark = pytest.mark.timeout(240)

HERE = Path(__file__).parents[1]
CALLS = "pwrite={0} write={0} fdatasync={0} fsync={0} ftruncate={0}"
MOST = 36  # calls of one cycle; it makes about 28

#: Stores a batch and a sink's accounts together, again and again, each time with the fault at a later call. What is
#: told to have failed goes again.
WRITE = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from spool.making import WITHIN, begin, make_batch, opened
from wayside_collector.spool import SinkCommit, SpoolError
control, fault = Path(os.environ["FAULT_FILE"]), sys.argv[3]
with opened(Path(sys.argv[1])) as spool:
    row = begin(spool)
    seq = row.next_seq
    for after in range(int(sys.argv[4]), int(sys.argv[5])):
        batch = make_batch(row.key, seq, rows=2, events=after % 2)
        seq = batch.next_seq
        text = str(seq)
        commit = SinkCommit("sink", seq, {row.key: text}, text, {"at": text.encode()})
        left = {"stored": lambda: spool.append([batch]), "committed": lambda: spool.commit(commit)}
        control.write_text(f"{fault} after={after}")
        while left:
            waiting = {kind: hand_in() for kind, hand_in in left.items()}
            for kind, future in waiting.items():
                try:
                    future.result(WITHIN)
                    del left[kind]
                    print(kind, seq, flush=True)
                except SpoolError:
                    print("failed", seq, flush=True)
        control.write_text("")
"""


def write(spool: Path, shim: Shim, fault: str, first: int, end: int) -> tuple[int, list[tuple[str, int]]]:
    """How the writer ended, and what it said."""
    arguments = [str(spool), str(HERE), f"{CALLS.format(fault.split()[0])} {fault.partition(' ')[2]}"]
    done = subprocess.run(
        [sys.executable, "-c", WRITE, *arguments, str(first), str(end)],
        env={**os.environ, **shim.environ(spool)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    shim.mend()
    assert done.returncode in (0, -9), done.stderr
    said = [line.split() for line in done.stdout.splitlines()]
    return done.returncode, [(kind, int(seq)) for kind, seq in said]


def check(folder: Path, said: list[tuple[str, int]]) -> None:
    """Every batch once and whole, as far as it was told to be stored; the sink's accounts of one moment."""
    told = {kind: max([0, *(seq for one, seq in said if one == kind)]) for kind in ("stored", "committed")}
    with opened(folder) as spool:
        assert (spool.salvaged, spool.damaged) == (None, 0)
        found = sorted(contents(spool).values(), key=lambda batch: batch[1])
        (session,) = spool.sessions()
        sink, cursors, state = spool.sink("sink"), spool.cursors("sink"), spool.state("sink")
    seqs = [(first, following) for _, first, following, _, _ in found]
    assert [first for first, _ in seqs] == [0, *(following for _, following in seqs)][: len(seqs)]
    assert session.next_seq == max([0, *(following for _, following in seqs)]) >= told["stored"]
    if sink is not None or told["committed"]:
        assert sink is not None
        assert (sink[1], cursors, state) == (str(sink[0]), {session.key: str(sink[0])}, {"at": str(sink[0]).encode()})
        assert sink[0] >= told["committed"]


@pytest.mark.parametrize(("error", "times"), [(errno.ENOSPC, 1), (errno.EIO, 2), (errno.ENOSPC, 5)])
def test_a_failure_at_any_call_loses_and_doubles_nothing(tmp_path: Path, shim: Shim, error: int, times: int) -> None:
    """A full disk and a failing one, for one call or for the next few as well: whoever is told to try again may do so,
    and the writer goes on.
    """
    ended, said = write(tmp_path / "spool", shim, f"{error} times={times}", 0, MOST)
    assert ended == 0
    assert sum(kind == "failed" for kind, _ in said) >= 10
    check(tmp_path / "spool", said)


@pytest.mark.long
def test_a_kill_at_any_call_loses_and_doubles_nothing(tmp_path: Path, shim: Shim) -> None:
    """Before each call of a cycle in turn, so also between the commit and its acknowledgement: the next start finds all
    that was told, and goes on.
    """
    said: list[tuple[str, int]] = []
    kills = 0
    for after in range(MOST):
        ended, more = write(tmp_path / "spool", shim, "-1", after, after + 1)
        said += more
        check(tmp_path / "spool", said)
        if ended == 0:
            break
        kills += 1
    assert 5 <= kills < MOST
