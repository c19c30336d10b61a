"""The command `wayside-collector`. Only this module exits and prints."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import __version__, config
from .config import Config, ConfigError
from .log import set_up_log
from .table import format_sinks, format_status

EXIT_CONFIG = 2  #: the configuration is wrong
EXIT_HELD = 3  #: another collector holds the socket or the spool
EXIT_WAITING = 1  #: not everything was delivered

_EXAMPLES = """examples:
  wayside-collector run                             with nothing configured: /metrics, and files below ./.wayside
  wayside-collector run --config wayside.yaml       with a configuration
  wayside-collector check wayside.yaml              say everything that is wrong with it, and stop
  wayside-collector status                          what the running collector has received and delivered
  wayside-collector sync ./.wayside                 deliver what an offline run left behind
  wayside-collector exec -- python train.py         collector, job and delivery in one command, with the job's exit code
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run; exits."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.run is None:
        parser.print_help()
        sys.exit(EXIT_CONFIG)
    try:
        sys.exit(chosen.run(chosen))
    except ConfigError as error:
        _say(f"{getattr(chosen, 'config', None) or 'the configuration'} cannot be used:")
        for problem in error.problems:
            _say(f"  {problem}")
        sys.exit(EXIT_CONFIG)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wayside-collector",
        description="Keeps every metric of a training job on disk, and delivers it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"wayside-collector {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    run = commands.add_parser("run", help="collect and deliver until told to stop")
    run.set_defaults(run=_run)
    check = commands.add_parser("check", help="say everything that is wrong with a configuration")
    check.add_argument("config", type=Path, metavar="FILE")
    check.set_defaults(run=_check)
    status = commands.add_parser("status", help="what a running collector has received and delivered")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.add_argument("--url", help="the collector's address (default: from the configuration)")
    status.set_defaults(run=_status)
    sync = commands.add_parser("sync", help="deliver what an offline run left behind")
    sync.add_argument("path", type=Path, help="the folder: WAYSIDE_DIR of the run")
    sync.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS", help="give up after this (default 600)"
    )
    sync.set_defaults(run=_sync)
    wrap = commands.add_parser("exec", help="run a job beside a collector, with the job's exit code")
    wrap.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    wrap.set_defaults(run=_exec)
    for command in (run, status, sync, wrap):
        command.add_argument("--config", type=Path, metavar="FILE", help="YAML; see docs/configuration.md")
    return parser


# --- commands ------------------------------------------------------------------------------------


def _run(chosen: argparse.Namespace) -> int:
    found = config.load(chosen.config, config.environment())
    set_up_log(found.top.log)
    return _guarded(lambda: serve(found, config.environment()))


def _check(chosen: argparse.Namespace) -> int:
    found = config.load(chosen.config, config.environment())
    _print(
        f"{chosen.config} is right: sinks {', '.join(sink.name for sink in found.sinks) or 'none'}; "
        f"sources {', '.join(sampler.name for sampler in found.samplers) or 'none'}; spool {found.spool_path}"
    )
    return 0


def _status(chosen: argparse.Namespace) -> int:
    url = chosen.url or _status_url(config.load(chosen.config, config.environment()))
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/status", timeout=5) as answer:
            status = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        _say(f"no collector answers at {url} ({reason}); is it running? Another address: --url, or `listen`")
        return 1
    _print(json.dumps(status, indent=2) if chosen.json else format_status(status, time.time()))
    return 0


def _sync(chosen: argparse.Namespace) -> int:
    if not chosen.path.is_dir():
        _say(f"{chosen.path} is not a folder; give the folder where the run kept its journal (WAYSIDE_DIR)")
        return EXIT_CONFIG
    environ = {**config.environment(), "WAYSIDE_LISTEN": "127.0.0.1:0"}
    found = config.load(chosen.config, environ)
    set_up_log(found.top.log)
    return _guarded(lambda: _deliver_folder(found, chosen.path.resolve(), chosen.timeout))


def _exec(chosen: argparse.Namespace) -> int:
    command = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    if not command:
        _say("nothing to run: wayside-collector exec -- python train.py")
        return EXIT_CONFIG
    found = config.load(chosen.config, config.environment())
    set_up_log(found.top.log)
    return _guarded(lambda: _beside(found, command))


# --- the collector's life --------------------------------------------------------------------------


async def serve(found: Config, environ: Mapping[str, str]) -> int:
    """Collect until SIGTERM or SIGINT; a second signal stops at once."""
    from .daemon import Collector

    collector = Collector(found, environ=environ)
    async with collector.opened():
        stop = asyncio.Event()
        with _signals(stop):
            await collector.run(stop)
    return 0


async def _deliver_folder(found: Config, folder: Path, timeout: float) -> int:
    from .daemon import Collector

    collector = Collector(
        found,
        environ=config.environment(),
        listens=False,
        journal_roots=[folder],
        adopts=lambda record: record.get("dir") == str(folder) or not record.get("dir"),
    )
    async with collector.opened():
        stop = asyncio.Event()
        with _signals(stop):
            running = asyncio.create_task(collector.run(stop), name="collector")
            complete = await _until_delivered(collector, running, time.monotonic() + timeout)
            stop.set()
            await running
        _print(format_sinks(collector.status()["sinks"]))
    if not complete:
        _say("not everything could be delivered; what waits is kept in the spool: run the same command again")
    return 0 if complete else EXIT_WAITING


async def _until_delivered(collector: Any, running: "asyncio.Task[None]", until: float) -> bool:
    await collector.ready.wait()
    await collector.journals.look_for_orphans()
    shown = 0.0
    while time.monotonic() < until and not running.done():
        waiting = sum(pump.books.waiting.points for pump in collector.pumps)
        if collector.journals.idle and collector.idle:
            return True
        if time.monotonic() - shown > 2.0:
            shown = time.monotonic()
            _say(f"delivering: {waiting} points wait")
        await asyncio.sleep(0.1)
    return False


async def _beside(found: Config, command: Sequence[str]) -> int:
    """The job, with a collector around it; returns the job's exit code."""
    from .daemon import Collector

    environ = config.environment()
    collector = Collector(found, environ=environ)
    async with collector.opened():
        stop = asyncio.Event()
        running = asyncio.create_task(collector.run(stop), name="collector")
        ready = asyncio.create_task(collector.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            ready.cancel()
            await running
        try:
            job = await asyncio.create_subprocess_exec(
                *command, env={**environ, "WAYSIDE_SOCKET": str(collector.socket_path)}
            )
        except OSError as problem:
            _say(f"{command[0]} cannot be run: {problem.strerror}")
            stop.set()
            await running
            return 127 if isinstance(problem, FileNotFoundError) else 126
        with _passed_on(job):
            code = await job.wait()
        stop.set()
        await running
        _say(format_sinks(collector.status()["sinks"]))
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def heard(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


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


def _guarded(work: Callable[[], Any]) -> int:
    """Run the collector; what an operator must act on becomes a sentence and an exit code."""
    from .sources.socket import SocketHeld
    from .spool import SpoolError, SpoolHeld

    try:
        code: int = asyncio.run(work())
        return code
    except* (SpoolHeld, SocketHeld) as held:
        _say(str(held.exceptions[0]))
        code = EXIT_HELD
    except* (SpoolError, OSError) as failed:
        _say(_first(failed))
        code = 1
    return code


def _first(group: BaseExceptionGroup[Exception]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"the collector stopped: {error}"


# --- saying things -----------------------------------------------------------------------------------


def _status_url(found: Config) -> str:
    host, port = found.address
    return f"http://{host if host not in ('', '0.0.0.0', '::') else '127.0.0.1'}:{port}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
