"""`exec`: runs a job beside a collector, and ends as the job does."""

import argparse
import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence

from ..configuration import config
from ..configuration.changes import Loaded, read
from ..configuration.places import socket_path
from ..log import set_up_log
from ..spool.lock import holder_of
from .base import EXIT_CONFIG, Command, add_config, say
from .life import guarded, until_ready
from .showing import format_sinks


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    add_config(parser)


def _run(chosen: argparse.Namespace) -> int:
    command = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    if not command:
        say("nothing to run: wayside-collector exec -- python train.py")
        return EXIT_CONFIG
    environ = config.environment()
    loaded = read(chosen.config, environ)
    if not loaded.config.level_given:
        environ = {**environ, "WAYSIDE_LOG__LEVEL": "warning"}  # the terminal is the job's
        loaded = read(chosen.config, environ)
    set_up_log(loaded.config)
    path = socket_path(loaded.config, environ)
    holder = holder_of(path.parent / "collector.lock")
    if holder is not None:
        say(f"{holder} listens on {path}: the job runs with that collector, and none is started here")
        return asyncio.run(_run_job(command, {**environ, "WAYSIDE_SOCKET": str(path)}))
    folder = loaded.config.dir
    holder = holder_of(loaded.config.spool_path / "lock")
    if holder is not None:
        say(f"{holder} keeps {folder}: the job runs with that collector, which reads {folder} when the job has ended")
        return asyncio.run(_run_job(command, {**environ, "WAYSIDE_DIR": str(folder)}))
    if not loaded.config.listen_given and _is_taken(loaded.config.address):
        say(f"{loaded.config.top.listen} is taken: this collector's page is at a free port; `listen` sets another")
        environ = {**environ, "WAYSIDE_LISTEN": "127.0.0.1:0"}
        loaded = read(chosen.config, environ)
    return guarded(lambda: _beside(loaded, command, environ))


def _is_taken(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(address)
        except OSError as problem:
            return problem.errno == errno.EADDRINUSE
    return False


async def _beside(loaded: Loaded, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """The job, with a collector around it; returns the job's exit code."""
    from ..daemon import Collector

    collector = Collector(loaded, environ=environ)
    async with collector.opened():
        stop = asyncio.Event()
        running = asyncio.create_task(collector.run(stop), name="collector")
        if not await until_ready(collector.parts.ready, running):
            await running
        code = await _run_job(command, {**environ, "WAYSIDE_SOCKET": str(collector.parts.socket_path)})
        stop.set()
        await running
        say(format_sinks(collector.views.status()["sinks"]))
    return code


async def _run_job(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """The job to its end; its exit code as a shell tells it."""
    try:
        job = await asyncio.create_subprocess_exec(*command, env=environ)
    except OSError as problem:
        say(f"{command[0]} cannot be run: {problem.strerror}")
        return 127 if isinstance(problem, FileNotFoundError) else 126
    with _passed_on(job):
        code = await job.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _passed_on(job: asyncio.subprocess.Process) -> Iterator[None]:
    """Signals go to the job; the collector stops when the job has. A terminal's Ctrl-C reaches the job by itself."""
    loop = asyncio.get_running_loop()
    passed = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

    def send(number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            job.send_signal(number)

    for number in passed:
        loop.add_signal_handler(number, send, number)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    try:
        yield
    finally:
        for number in (*passed, signal.SIGINT):
            loop.remove_signal_handler(number)


COMMAND = Command(
    "exec",
    "run a job beside a collector, with the job's exit code",
    {
        "wayside-collector exec -- python train.py": "a collector for as long as the job runs",
        "wayside-collector exec --config wayside.yaml -- torchrun train.py": "all ranks, one collector",
    },
    _arguments,
    _run,
)
