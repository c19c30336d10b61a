"""The child process, from the collector's side: starts it, speaks `protocol` with it, ends it and wandb-core with it.

Its environment is made anew from what a program needs (_PASSED): WANDB_SERVICE and its kin would bind it to another
process's core, proxies would catch what belongs to the relay, and other sinks' secrets are none of its business. What
it prints goes to the log at DEBUG, cut and without secrets; the last lines are kept to say why it ended. A file names
the processes, so that those of a collector that was killed are gone before their runs' files are read.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import psutil

from .options import redact
from .protocol import HEAD, Command, Failed, Ready, Reply, Start, Stopped, length, pack, read_reply

log = logging.getLogger(__name__)

MODULE = "wayside_collector.sinks.wandb.child"
MAX_LINE = 500  #: characters of a printed line that are logged; the SDK prints whole tracebacks and tables
MAX_LINES = 200  #: printed lines logged in one second; what is beyond is counted and said
START_TIMEOUT = 90.0  #: seconds; importing the SDK takes 0.5, and ten times that on a node that is busy with pulling
END_TIMEOUT = 10.0  #: seconds until a killed process is gone; wandb-core sees its parent's end within 0.1
_POLL = 0.02  # seconds
_TOKEN = re.compile(r"[0-9a-f]{40}")  # the secret part of the relay's addresses
_PASSED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "TZ", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    | {"LD_LIBRARY_PATH", "SYSTEMROOT"}
)
#: The hook is for training processes: in this one it would tell us of our own runs.
_FIXED = {
    **{"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"},
    **{"WAYSIDE_WANDB_HOOK": "off", "PYTHONUNBUFFERED": "1"},
}


class ChildLost(Exception):
    """The child is gone, or did not answer in time: whatever it had and was not acknowledged is lost."""


class ChildFailed(Exception):
    """The child answered that it could not do it."""


def environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What the child's environment is. folder: where the SDK keeps what it would keep at home."""
    kept = {name: value for name, value in environ.items() if name in _PASSED or name.startswith("LC_")}
    homes = {f"WANDB_{name}_DIR": str(folder / f".{name.lower()}") for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT")}
    kept["TMPDIR"] = temporary(kept.get("TMPDIR"), folder)
    return {**kept, **homes, **_FIXED}


def temporary(given: str | None, folder: Path) -> str:
    """A folder for temporary files that can be written: wandb-core keeps its socket in one, and a container may have a
    root that cannot be written, `/tmp` and all.
    """
    for candidate in (given, "/tmp", "/var/tmp"):
        if candidate and os.path.isdir(candidate) and os.access(candidate, os.W_OK | os.X_OK):
            return candidate
    own = folder / ".tmp"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(own)


def reap(file: Path) -> None:
    """End the processes that an earlier collector named in this file. Blocks, at most END_TIMEOUT."""
    try:
        named = msgspec.json.decode(file.read_bytes(), type=list[tuple[int, float]])
    except (OSError, msgspec.DecodeError):
        return
    deadline = time.monotonic() + END_TIMEOUT
    while time.monotonic() < deadline:
        alive = [process for pid, started in named if (process := _find(pid, started)) is not None]
        if not alive:
            break
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(_POLL)
    for pid, _ in named:  # as a container's first process we inherit orphans, and nobody else buries them
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    file.unlink(missing_ok=True)


def _find(pid: int, started: float) -> psutil.Process | None:
    """The process with this id, if it is still the same one."""
    try:
        process = psutil.Process(pid)
        return process if process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


class Child:
    """A child. `stopped` collects the handles of runs the SDK has given up. file: where its processes are named.
    on_end: called when it ended, or gave up a run.
    """

    def __init__(self, file: Path, secrets: frozenset[str], on_end: Callable[[], None]) -> None:
        self.version = ""
        self.pid = 0
        self.core = 0
        self.stopped: set[str] = set()
        self.secrets = secrets
        self._file = file
        self._on_end = on_end
        self._last: deque[str] = deque(maxlen=5)
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._id = 0
        self._gone = False

    async def start(self, start: Start, environ: Mapping[str, str]) -> None:
        """Raises ChildFailed or ChildLost."""
        folder = Path(start.folder)
        try:
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        except OSError as problem:
            raise ChildFailed(f"{folder} cannot be made: {problem.strerror}") from problem
        there, back = os.pipe(), os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", MODULE, str(there[0]), str(back[1]), str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(there[0], back[1]),
                start_new_session=True,
                cwd=folder,
                env=await asyncio.to_thread(environment, environ, folder),
            )
        except BaseException as problem:
            os.close(there[1])  # a child that was started all the same sees its end, and goes
            os.close(back[0])
            if not isinstance(problem, OSError):
                raise
            raise ChildFailed(f"no process could be started: {problem.strerror}") from problem
        finally:
            os.close(there[0])
            os.close(back[1])
        self.pid = self._process.pid
        await self._connect(there[1], back[0])
        ready = await self.ask(start, START_TIMEOUT)
        if not isinstance(ready, Ready):
            raise ChildFailed(f"an unexpected answer: {type(ready).__name__}")
        self.version, self.core = ready.version, ready.core
        await asyncio.to_thread(self._name_processes)

    async def _connect(self, commands: int, replies: int) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(replies, "rb", 0))
        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(commands, "wb", 0)
        )
        self._writer = asyncio.StreamWriter(transport, protocol, None, loop)
        self._tasks = [
            asyncio.create_task(self._listen(reader), name="wandb-child-replies"),
            asyncio.create_task(self._drain(), name="wandb-child-output"),
        ]

    def _name_processes(self) -> None:
        named = []
        for pid in (self.pid, self.core):
            with contextlib.suppress(psutil.Error):
                named.append((pid, psutil.Process(pid).create_time()))
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(named))
        os.replace(new, self._file)

    # --- talking -----------------------------------------------------------------------------------------------------

    async def ask(self, command: Command, timeout: float) -> Reply:
        """Send a command and wait for its reply. Raises ChildFailed, or ChildLost. The command is on its way as soon
        as this is called, even if the wait is cancelled.
        """
        if self._gone or self._writer is None:
            raise ChildLost(self._why())
        id = self._id = self._id + 1
        try:
            frame = pack(id, command)
        except (ValueError, TypeError, OverflowError) as problem:
            raise ChildFailed(f"a message that cannot be sent: {problem}") from problem
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[id] = reply
        self._writer.write(frame)
        try:
            async with asyncio.timeout(timeout):
                answer = await reply
        except TimeoutError:
            raise ChildLost(f"the W&B SDK did not answer within {timeout:g} s") from None
        finally:
            self._waiting.pop(id, None)
        if isinstance(answer, Failed):
            raise ChildFailed(self._hide(answer.what))
        return answer

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                body = await reader.readexactly(length(await reader.readexactly(HEAD)))
                id, reply = read_reply(body)
                if isinstance(reply, Stopped):
                    self.stopped.add(reply.handle)
                    self._on_end()
                elif (waiting := self._waiting.get(id)) is not None and not waiting.done():
                    waiting.set_result(reply)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError, msgspec.DecodeError):
            await self._ended()

    async def _ended(self) -> None:
        """Its end of the pipe is closed: everyone who waits learns why."""
        self._gone = True
        with contextlib.suppress(TimeoutError):  # its last words come on another pipe
            async with asyncio.timeout(1.0):
                await asyncio.shield(self._tasks[1])
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ChildLost(self._why()))
        self._on_end()

    @property
    def gone(self) -> bool:
        return self._gone

    @property
    def ready(self) -> bool:
        """Whether `start` has returned."""
        return self.core != 0

    def _why(self) -> str:
        said = " | ".join(self._last)
        return "the process of the W&B SDK ended" + (f": {said}" if said else "")

    async def _drain(self) -> None:
        """What it prints, into the log."""
        assert self._process is not None
        assert self._process.stdout is not None
        rest, second, lines = "", 0, 0
        while piece := await self._process.stdout.read(4096):
            *whole, rest = (rest + piece.decode("utf-8", "replace")).split("\n")
            rest = rest[:MAX_LINE]
            for line in whole:
                lines, second = (lines + 1, second) if int(time.monotonic()) == second else (0, int(time.monotonic()))
                self._say(line, lines)

    def _say(self, line: str, lines: int) -> None:
        text = self._hide(line.strip())[:MAX_LINE]
        if text and lines < MAX_LINES:
            self._last.append(text)
            log.debug("W&B SDK: %s", text)
        elif lines == MAX_LINES:
            log.debug("W&B SDK: more lines in this second are left out")

    def _hide(self, text: str) -> str:
        return _TOKEN.sub("***", redact(text, self.secrets))

    # --- ending ------------------------------------------------------------------------------------------------------

    async def kill(self) -> None:
        """End it and wandb-core, at once; safe at any time, and twice. Returns when both are gone."""
        self._gone = True
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            await asyncio.to_thread(reap, self._file)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ChildLost("the W&B SDK was stopped"))
        if self._writer is not None:
            self._writer.close()
            self._writer = None
