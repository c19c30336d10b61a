"""Drives the W&B SDK (0.31), in the child: what each command means to it. Its quirks are met here and nowhere else.

Every row goes in with `commit=True` and a `_step` of our own, runs are opened with resume="allow", and system metrics
take a private way, as `Record`s with their own time: the public one knows only "now". Where that way is gone, samples
are counted as unsupported, never sent with a wrong time.
"""

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2
from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

from .making import put, put_artifact, put_files
from .protocol import (
    AlertOp,
    Close,
    Command,
    ConfigOp,
    Done,
    Inspect,
    Made,
    MetricOp,
    Op,
    Open,
    Opened,
    Put,
    PutArtifact,
    PutFiles,
    Reply,
    RowOp,
    SampleOp,
    Settle,
    Ship,
    Shipped,
    Start,
    SummaryOp,
)
from .transaction_log import LogError
from .written import Written, inspect, share, usable

#: Files that the SDK would upload by itself: W&B has what is in them.
_LEFT_OUT = ("config.yaml", "wandb-summary.json", "wandb-metadata.json", "output.log", "requirements.txt")

pb: Any = wandb_internal_pb2  # its classes are made at run time
_POLL = 0.02  # seconds between two looks at a growing file
_AT_ONCE = timedelta(microseconds=1)  # an alert's wait: the SDK takes 0 for a minute
_GONE = (ConnectionError, MailboxClosedError, HandleAbandonedError)


class Refused(Exception):
    """The SDK did not take it; the text says why."""


class Lost(Exception):
    """wandb-core is gone, and with it everything that was on its way."""


class Sdk:
    """on_stop: told the handle of a run that the SDK has given up, from a thread of the SDK's. umask: of folders that
    people are to sync, unlike the SDK's other files.
    """

    def __init__(self, start: Start, on_stop: Callable[[str], None], umask: int = 0o077) -> None:
        self.version = str(wandb.__version__)
        self._start = start
        self._on_stop = on_stop
        self._umask = umask
        self._runs: dict[str, Any] = {}
        self._written: dict[str, Written] = {}
        self._settings = self._common()
        try:
            wandb.setup(wandb.Settings(**self._settings))
        except (wandb.Error, ValueError, OSError) as problem:
            raise Refused(_say(problem)) from problem

    def _common(self) -> dict[str, Any]:
        """What is the same for every run. What this SDK does not know is left out: it raises for unknown settings."""
        start = self._start
        wanted = {
            "mode": "online",
            "root_dir": start.folder,
            "resume": "allow",
            "reinit": "create_new",
            "console": "off",
            "silent": True,
            "disable_git": True,
            "disable_code": True,
            "disable_job_creation": True,
            "label_disable": True,
            "ignore_globs": _LEFT_OUT,
            "stop_on_fatal_error": True,
            "finish_timeout": start.finish_timeout,
            "init_timeout": start.init_timeout,
            "x_disable_stats": True,
            "x_disable_meta": True,
            "x_disable_machine_info": True,
            "x_disable_viewer": True,
            "x_save_requirements": False,
            "x_file_stream_transmit_interval": start.upload_interval,
            "x_file_stream_retry_max": 1_000_000,  # the relay paces the retries; the SDK must not give up
            "x_file_stream_no_gzip": True,
            "x_transaction_log_flush_interval": 15.0,
        }
        return {name: value for name, value in wanted.items() if name in wandb.Settings.model_fields}

    def do(self, command: Command) -> Reply:
        """Raises Refused, or Lost."""
        try:
            match command:
                case Open():
                    return self._open(command)
                case Ship():
                    return self._ship(command)
                case Put() | PutArtifact() | PutFiles():
                    return self._put(command)
                case Settle():
                    return self._settle(command)
                case Inspect():
                    return inspect(command.folder)
                case Close():
                    return self._close(command)
        except _GONE as problem:
            raise Lost from problem
        except (OSError, LogError, wandb.Error) as problem:
            raise Refused(_say(problem)) from problem
        raise Refused(f"a command not known here: {type(command).__name__}")

    def _open(self, command: Open) -> Opened:
        who, handle = command.identity, command.handle
        settings = {
            **self._settings,
            "api_key": command.key,
            "run_id": who.id,
            "project": who.project,
            "entity": who.entity,
            "run_name": who.name,
            "run_group": who.group,
            "run_job_type": who.job_type,
            "run_notes": who.notes,
            "run_tags": who.tags or None,
            "host": who.host,
            "program": who.program or "wayside",
            "git_commit": who.git_commit,
            "git_remote_url": who.git_remote,
            "stop_fn": lambda: self._on_stop(handle),
        }
        if command.url is not None:
            settings["base_url"] = command.url
        else:
            settings.update(mode="offline", x_transaction_log_flush_interval=self._start.flush_interval)
            settings["root_dir"] = usable(command.folder, self._umask) or self._start.folder
        try:
            known = wandb.Settings(**{name: value for name, value in settings.items() if value is not None})
            run: Any = wandb.init(reinit="create_new", resume="allow", settings=known, config=command.config or None)
        except (ValueError, TypeError) as problem:
            raise Refused(_say(problem)) from problem
        self._runs[handle] = run
        folder = str(run.settings.sync_dir)
        if command.url is None:
            self._written[handle] = Written(folder)
            share(folder, self._umask)
        keys = [name for name, _ in run.config.items()]
        return Opened(int(run.starting_step), folder, keys)

    def _ship(self, command: Ship) -> Shipped:
        run, written = self._run(command.handle), self._written.get(command.handle)
        refused: list[tuple[int, str]] = []
        unsupported = 0
        for index, op in enumerate(command.ops):
            try:
                if not _hand_over(run, op):
                    unsupported += 1
                    continue
            except _GONE:
                raise
            except (wandb.Error, ValueError, TypeError, AttributeError, KeyError) as problem:
                refused.append((index, _say(problem)))
                continue
            if written is not None:
                written.expect(op)
        return Shipped(refused, unsupported)

    def _put(self, command: Put | PutArtifact | PutFiles) -> Made:
        run, written = self._run(command.handle), self._written.get(command.handle)
        try:
            match command:
                case Put():
                    made = put(run, command, self._start.folder)
                case PutArtifact():
                    made = put_artifact(run, command)
                case PutFiles():
                    made = put_files(run, command)
        except (ValueError, TypeError, LookupError, AttributeError, AssertionError, RuntimeError) as problem:
            raise Refused(_say(problem)) from problem
        if written is not None:
            written.expect_made(made, run.dir)
        return made

    def _settle(self, command: Settle) -> Done:
        written = self._written[command.handle]
        deadline = time.monotonic() + command.timeout
        while not written.look():
            if time.monotonic() > deadline:
                raise Refused(f"the rows are not in {written.path} after {command.timeout:g} s")
            time.sleep(_POLL)
        written.sync()
        return Done()

    def _close(self, command: Close) -> Done:
        run = self._runs.pop(command.handle, None)
        written = self._written.pop(command.handle, None)
        if run is not None:
            run.finish(exit_code=command.exit_code)
            if run._finish_timed_out:
                raise Refused(f"the run was not finished within {self._start.finish_timeout:g} s")
        if written is not None:
            written.sync()
            share(os.path.dirname(written.path), self._umask)
        return Done()

    def _run(self, handle: str) -> Any:
        run = self._runs.get(handle)
        if run is None:
            raise Refused("the run is not open")
        return run


def _hand_over(run: Any, op: Op) -> bool:
    """False for a sample that this SDK has no way for."""
    match op:
        case RowOp():
            run.log(op.values, step=op.step, commit=True)
        case SampleOp():
            return _sample(run, op)
        case ConfigOp():
            _config(run, op)
        case SummaryOp():
            if op.set:
                run.summary.update(op.set)
            for name in op.remove:
                del run.summary[name]
        case AlertOp():
            run.alert(op.title, op.text, level=op.level, wait_duration=_AT_ONCE)
        case MetricOp():
            run.define_metric(**op.arguments)
    return True


def _sample(run: Any, op: SampleOp) -> bool:
    publish = getattr(getattr(run, "_interface", None), "_publish", None)
    if publish is None:
        return False
    record = pb.Record()
    record.stats.stats_type = pb.StatsRecord.StatsType.SYSTEM
    record.stats.timestamp.FromMicroseconds(round(op.time * 1e6))
    for name, value in op.values.items():
        item = record.stats.item.add()
        item.key = name
        item.value_json = json.dumps(value)
    publish(record)
    return True


def _config(run: Any, op: ConfigOp) -> None:
    if op.set:
        run.config.update(op.set, allow_val_change=True)
    if op.remove:  # the SDK has no public way to take a key away
        record = pb.Record()
        for name in op.remove:
            record.config.remove.add().key = name
            run.config._items.pop(name, None)
        run._interface._publish(record)


def _say(problem: BaseException) -> str:
    text = " ".join(str(problem).split())[:500]
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__
