"""Two collectors in one socket's folder: the second is told who is there."""

import asyncio
import os
import sys

import pytest
from sources.place import opened_place
from wayside_collector.sources.listening import SocketHeld

_HOLDER = """
import sys
from pathlib import Path
from wayside_collector.spool.lock import take_lock
sys.argv = ["wayside-collector", "sync", "--token", "secret"]
take_lock(Path(sys.stdin.readline().strip()))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.asyncio
async def test_who_listens_is_named_by_command_and_process() -> None:
    """As the spool's lock names its holder: the command without its options, the process, the machine."""
    async with opened_place() as place:
        holder = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _HOLDER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert holder.stdin is not None
            assert holder.stdout is not None
            holder.stdin.write(f"{place.folder / 'collector.lock'}\n".encode())
            assert await holder.stdout.readline() == b"held\n"
            told = f"wayside-collector sync, pid {holder.pid} on {os.uname().nodename} listens on {place.socket.path}"
            with pytest.raises(SocketHeld, match=f"^{told}: stop it, or set another socket$"):
                await place.socket.run()
        finally:
            await holder.communicate(b"")
        async with place.listening():
            text = (place.folder / "collector.lock").read_text()
        assert f"pid {os.getpid()} on " in text
