"""`exec`: runs a job beside a collector, and ends as the job does."""

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Iterator, Sequence

from .. import config
from ..changes import Loaded, read
from ..log import set_up_log
from ..table import format_sinks
from .base import EXIT_CONFIG, Command, add_config, say
from .life import guarded


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    add_config(parser)


def _run(chosen: argparse.Namespace) -> int:
    command = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    if not command:
        say("nothing to run: wayside-collector exec -- python train.py")
        return EXIT_CONFIG
    loaded = read(chosen.config, config.environment())
    set_up_log(loaded.config)
    return guarded(lambda: _beside(loaded, command))


async def _beside(loaded: Loaded, command: Sequence[str]) -> int:
    """The job, with a collector around it; returns the job's exit code."""
    from ..daemon import Collector

    environ = config.environment()
    collector = Collector(loaded, environ=environ)
    async with collector.opened():
        stop = asyncio.Event()
        running = asyncio.create_task(collector.run(stop), name="collector")
        ready = asyncio.create_task(collector.parts.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            ready.cancel()
            await running
        try:
            job = await asyncio.create_subprocess_exec(
                *command, env={**environ, "WAYSIDE_SOCKET": str(collector.parts.socket_path)}
            )
        except OSError as problem:
            say(f"{command[0]} cannot be run: {problem.strerror}")
            stop.set()
            await running
            return 127 if isinstance(problem, FileNotFoundError) else 126
        with _passed_on(job):
            code = await job.wait()
        stop.set()
        await running
        say(format_sinks(collector.views.status()["sinks"]))
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
