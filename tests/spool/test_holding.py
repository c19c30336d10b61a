"""One collector owns a spool's folder."""

import subprocess
import sys
from pathlib import Path

import pytest
from spool.making import begin, make_batch, opened, put
from wayside_collector.spool import SpoolError, SpoolHeld

HOLD = """
import sys
from pathlib import Path
from wayside_collector.spool import Spool, SpoolOptions
spool = Spool(SpoolOptions(Path(sys.argv[1])))
spool.open()
print("open", flush=True)
sys.stdin.read()
spool.close()
"""


def test_a_second_process_is_refused_with_who_holds_it(tmp_path: Path) -> None:
    """By pid and host, and with what to do; once the first is gone, even killed, the folder is free."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        for _ in range(2):
            told = rf"held by wayside-collector, pid {holder.pid} on .*spool\.path"
            with pytest.raises(SpoolHeld, match=told), opened(tmp_path):
                pass
    finally:
        holder.kill()
        holder.communicate()
    with opened(tmp_path) as spool:
        put(spool, make_batch(begin(spool).key, 0))


def test_a_folder_that_cannot_be_used_is_told_with_its_path(tmp_path: Path) -> None:
    """Where it lies and why, for whoever must act on it."""
    (tmp_path / "file").write_text("")
    told = r"file/spool cannot be used: .*Not a directory"
    with pytest.raises(SpoolError, match=told), opened(tmp_path / "file" / "spool"):
        pass
