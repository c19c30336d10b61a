"""Offline: reads a run's file back, in the child. What stands in it, synced, is delivered."""

import glob
import json
import os
from collections.abc import Iterator
from typing import Any

from wandb.proto import wandb_internal_pb2

from .protocol import AlertOp, ConfigOp, Found, Made, MetricOp, Op, RowOp, SampleOp
from .transaction_log import Log, LogError

pb: Any = wandb_internal_pb2  # its classes are made at run time
_PIECE = 1 << 20  # bytes read at a time


class Written:
    """What of a run's shipped ops stands in its file.

    The SDK writes them in their order, among records of its own; so each is looked for after the one before. A row is
    known by its `_step`, anything else by its kind.
    """

    def __init__(self, folder: str) -> None:
        self.path = find(folder)
        self._log = Log()
        self._expected: list[tuple[str, int | frozenset[str]]] = []

    def expect(self, op: Op) -> None:
        """This was handed to the SDK."""
        if isinstance(op, RowOp):
            self._expected.append(("history", op.step))
        elif isinstance(op, SampleOp):
            self._expected.append(("stats", -1))
        elif isinstance(op, AlertOp | MetricOp):
            self._expected.append(("alert" if isinstance(op, AlertOp) else "metric", -1))
        elif isinstance(op, ConfigOp):
            self._expected += [("config", -1)] * (bool(op.set) + bool(op.remove))
        elif op.set or op.remove:
            self._expected.append(("summary", frozenset(op.set) | frozenset(op.remove)))

    def expect_made(self, made: Made, folder: str) -> None:
        """This was made, its files lie in this folder."""
        for name in made.files:
            self._expected.append(("files", -1))
            sync(os.path.join(folder, name))
        self._expected += [("artifact", -1)] * len(made.artifacts)

    def look(self) -> bool:
        """Read on; whether all that was expected has been found. Raises OSError or LogError."""
        at = 0
        for record in _records(self._log, self.path):
            if at < len(self._expected) and _matches(record, *self._expected[at]):
                at += 1
        del self._expected[:at]
        return not self._expected

    def sync(self) -> None:
        """Get the file, and its place in its folders, onto the disk."""
        folder = os.path.dirname(self.path)
        for path in (self.path, folder, os.path.dirname(folder)):
            sync(path)


def find(folder: str) -> str:
    """The `.wandb` file of a run's folder; raises FileNotFoundError."""
    found = glob.glob(os.path.join(glob.escape(folder), "*.wandb"))
    if not found:
        raise FileNotFoundError(2, "no .wandb file in it", folder)
    return found[0]


def inspect(folder: str) -> Found:
    """What the file of an ended child holds; a torn or damaged end is cut off, since `wandb sync` refuses it."""
    last, samples, log = -1, 0, Log()
    try:
        path = find(folder)
    except FileNotFoundError:
        return Found(-1, 0)
    try:
        for record in _records(log, path):
            kind = record.WhichOneof("record_type")
            samples += kind == "stats"
            if kind == "history":
                last = max(last, _step(record))
    except LogError:
        pass  # what follows the damage is sent again
    if os.path.getsize(path) > log.whole:
        os.truncate(path, log.whole)
    for name in (path, folder):
        sync(name)
    return Found(last, samples)


def usable(folder: str | None, umask: int) -> str | None:
    """The folder, made with those above it where it is not there; None where it cannot be written: the SDK would then
    write somewhere else without a word.
    """
    if folder is None:
        return None
    missing = []
    above = folder
    while not os.path.lexists(above):
        missing.append(above)
        above = os.path.dirname(above)
    try:
        os.makedirs(folder, exist_ok=True)
        for made in missing:
            os.chmod(made, 0o755 & ~umask)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def share(folder: str, umask: int) -> None:
    """Let others read a run's folder as far as this umask has it, and go through the one above it."""
    above = os.path.dirname(folder)
    os.chmod(above, os.stat(above).st_mode | (0o755 & ~umask))
    for path, _, names in os.walk(folder):
        os.chmod(path, 0o755 & ~umask)
        for name in names:
            if not os.path.islink(os.path.join(path, name)):
                os.chmod(os.path.join(path, name), 0o644 & ~umask)


def sync(path: str) -> None:
    """fsync a file or a folder."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _records(log: Log, path: str) -> Iterator[Any]:
    with open(path, "rb") as file:
        file.seek(log.position)
        while data := file.read(_PIECE):
            for raw in log.feed(data):
                record = pb.Record()
                record.ParseFromString(raw)
                yield record


def _matches(record: Any, kind: str, what: int | frozenset[str]) -> bool:
    if record.WhichOneof("record_type") != kind:
        return False
    if kind == "history":
        return _step(record) == what
    if isinstance(what, frozenset):
        items = [*record.summary.update, *record.summary.remove]
        return not what.isdisjoint(item.key or (item.nested_key[0] if item.nested_key else "") for item in items)
    return True


def _step(record: Any) -> int:
    if record.history.HasField("step"):
        return int(record.history.step.num)
    for item in record.history.item:
        if item.key == "_step" or list(item.nested_key) == ["_step"]:
            return int(json.loads(item.value_json))
    return -1
