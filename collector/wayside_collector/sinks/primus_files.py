"""AMD's exporter's files: which lines a session's calls become, and where they lie.

Without roots all lie below the sink's own folder. With roots each session's lie where its training asked for them
(`PRIMUS_LENS_WANDB_OUTPUT_PATH`), if that is below one of the roots. Trainers can write there, so each folder on the
way is opened by itself and no link is followed: what is written is below the root, whatever was planted.
"""

import contextlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from wayside.primus_lines import file_name, folder_of, lines
from wayside.row import Event, Row

from ..session import Session
from .base import Parcel, Part
from .primus_samples import primus_sample

MAX_OPEN = 256  #: folders held open: a node has a few ranks; a gateway's are opened again when they are needed
MAX_SAMPLES = 4096  #: sessions whose latest hardware metrics are remembered

_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def output_of(session: Session, roots: Sequence[str]) -> str | None:
    """The folder that a session asks for, if it lies below one of the roots. By name alone: nothing is looked up."""
    asked = session.primus.output
    if asked is None or not os.path.isabs(asked) or "\0" in asked:
        return None
    plain = os.path.normpath(asked)
    return plain if _root_of(plain, roots) is not None else None


def _root_of(path: str, roots: Sequence[str]) -> str | None:
    plain = (os.path.normpath(root) for root in roots)
    return next((root for root in plain if path == root or path.startswith(root.rstrip("/") + "/")), None)


class PrimusLines:
    """Remembers each session's latest hardware metrics, for those that want them in their lines."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = roots
        self._samples: OrderedDict[str, dict[str, float]] = OrderedDict()

    def streams(self, parcel: Parcel) -> dict[str, bytes]:
        """Lines by stream, which is the path of a file without its ending."""
        found: dict[str, list[str]] = {}
        for part in parcel.parts:
            if part.session.kind == "system":
                self._take_samples(part)
                continue
            session = part.session
            more = self._samples.get(session.id, {}) if session.primus.enhance else {}
            above = output_of(session, self._roots) if self._roots else ""
            stream = os.path.join(above or "", folder_of(session.node_rank, session.local_rank), "wandb_metrics")
            records = [record for record in part.records if isinstance(record, Row | Event)]
            found.setdefault(stream, []).extend(lines(records, more))
        return {stream: "".join(some).encode("utf-8", "replace") for stream, some in found.items() if some}

    def _take_samples(self, part: Part) -> None:
        for record in part.records:
            values = primus_sample(record.metrics)[0] if isinstance(record, Row) else {}
            for session in part.open_runs if values else ():
                if session.primus.enhance:
                    self._samples.setdefault(session.id, {}).update(values)
        while len(self._samples) > MAX_SAMPLES:
            self._samples.popitem(last=False)


class PrimusLayout:
    """See `line_files.Layout`. folder: the sink's own."""

    def __init__(self, own: Path, roots: Sequence[str]) -> None:
        self._own = own
        self._roots = roots
        self._open: OrderedDict[str, int] = OrderedDict()

    def shared(self, stream: str) -> bool:
        return stream.startswith("/")

    def name(self, stream: str, number: int) -> str:
        return file_name(number)

    def folder(self, stream: str, *, make: bool) -> Path:
        """Raises OSError."""
        above = os.path.dirname(stream)
        if not self.shared(stream):
            path = self._own / above
            if make:
                path.mkdir(parents=True, exist_ok=True)
            return path
        fd = self._open.get(above)
        if fd is None or os.fstat(fd).st_nlink == 0:  # it was deleted under us
            self._close(above)
            try:
                fd = self._open[above] = self._walk(above, make)
            except FileNotFoundError:
                return Path(above)
        self._open.move_to_end(above)
        while len(self._open) > MAX_OPEN:
            self._close(next(iter(self._open)))
        return Path(f"/proc/self/fd/{fd}")

    def close(self) -> None:
        for above in list(self._open):
            self._close(above)

    def _close(self, above: str) -> None:
        fd = self._open.pop(above, None)
        if fd is not None:
            os.close(fd)

    def _walk(self, path: str, make: bool) -> int:
        """The folder's descriptor, each step from the root on opened by itself."""
        root = _root_of(path, self._roots)
        if root is None:
            raise PermissionError(1, "it is below none of the option `outputs` any more", path)
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for step in filter(None, path[len(root) :].split("/")):
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(step, 0o755, dir_fd=fd)
                inner = os.open(step, _STEP, dir_fd=fd)
                os.close(fd)
                fd = inner
        except OSError as problem:
            os.close(fd)
            raise type(problem)(problem.errno, problem.strerror, path) from problem
        return fd
