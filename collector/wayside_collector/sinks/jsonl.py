"""Files of JSON lines: every row and event, in numbered files that are only appended to.

    {"time": 1767225600.5, "step": 3, "run": "r1", "rank": 0, "session": "…", "seq": 3, "metrics": {"loss": 0.5}}
    {"time": 1767225601.0, "step": 3, "run": "r1", "rank": 0, "session": "…", "seq": 4, "event": {"kind": "alert", …}}

Strict JSON: what is not finite stands as "NaN", "Infinity", "-Infinity". Exactly once: a file is synced before its
offset is committed with the cursor, and cut back to that offset at a start, so what a crash left half-delivered is
gone when it comes again. A file that is shorter than its offset, or gone, was damaged by someone else: it is left as it
is, said, and a new one begun, at a start and before each write. Beside them, `sessions-00000001.ndjson` says who the
sessions are (`introductions.py`), so that a store can be built again from this folder alone.

With `layout: primus` the files lie and read as those of AMD's exporter: `node_{N}/rank_{local
rank}/wandb_metrics.jsonl`, one line a row, {"timestamp", "step", "data"}, and events are left out.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
from wayside import wire
from wayside.row import Event, Row

from ..session import Session
from ..strict import strict
from ..units import Bytes
from .base import Changes, Context, Parcel, Ref, Reject, Retry, SinkOptions, Traits
from .introductions import Introductions
from .kept_media import KeptMedia

log = logging.getLogger(__name__)


SESSIONS = "sessions"  #: the files of who they are; of another ending, so that `*.jsonl` is rows and events


class JsonlOptions(SinkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """path: the folder, `jsonl` in the sink's own folder when not given. layout: "wayside", or "primus" for that
    system's paths and keys. max_size: bytes of a file before the next one is begun. max_files: the oldest beyond it
    are removed. max_media: bytes of pictures and other files, kept in its folder `media`; the oldest beyond it go.
    """

    path: str | None = None
    layout: Literal["wayside", "primus"] = "wayside"
    max_size: Bytes = 64 << 20
    max_files: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 160
    max_media: Bytes = 1 << 30


class Place(NamedTuple):
    """Where a stream of lines stands: its file's number, and the bytes of it that count."""

    number: int
    offset: int


class JsonlSink:
    """Appends lines."""

    traits: ClassVar[Traits] = Traits(max_records=4000)

    def __init__(self, options: JsonlOptions) -> None:
        self.options = options
        self._context = Context("jsonl", Path("."))
        self._folder = Path(".")
        self._places: dict[str, Place] = {}
        self._prefixes: dict[str, bytes] = {}
        self._introductions = Introductions()
        self._media = KeptMedia(self._folder / "media", options.max_media, self._context.count)

    async def open(self, context: Context) -> None:
        self._context = context
        self._folder = Path(self.options.path) if self.options.path else context.folder
        self._media = KeptMedia(self._folder / "media", self.options.max_media, context.count)
        self._places = dict(self._kept_places(context.state))
        self._introductions = Introductions()
        with self._retried():
            await asyncio.to_thread(self._cut_back)

    def _kept_places(self, state: Mapping[str, bytes]) -> Iterator[tuple[str, Place]]:
        """Where streams stood; one that does not say begins anew, after the files that are there."""
        for stream, text in state.items():
            try:
                number, offset = msgspec.json.decode(text, type=tuple[int, int])
                yield stream, Place(number, offset)
            except (msgspec.MsgspecError, UnicodeError) as problem:
                log.error("where the files of %s stood is not known (%s): a new one is begun", stream, problem)
                self._context.count("damaged_places", 1)

    async def send(self, parcel: Parcel) -> Changes:
        with self._retried():
            return await asyncio.to_thread(self._append_all, parcel)

    async def close(self) -> None:
        return None

    @contextlib.contextmanager
    def _retried(self) -> Iterator[None]:
        """What the file system refuses may be mended while rows wait: a line for the operator, and again later."""
        try:
            yield
        except OSError as problem:
            raise Retry(
                f"{problem.filename or self._folder} cannot be written ({problem.strerror or problem}): make room, "
                f"or give `sinks.{self._context.name}.path` another folder"
            ) from problem

    def _append_all(self, parcel: Parcel) -> Changes:
        if self.options.layout == "primus":
            return self._write({stream: lines for stream, lines in self._primus_lines(parcel).items() if lines})
        bad: list[Ref] = []
        streams = {"rows": self._lines(parcel, bad), SESSIONS: self._introductions.lines(parcel.parts)}
        changes = self._write({stream: lines for stream, lines in streams.items() if lines})
        self._introductions.done()
        if bad:
            raise Reject("an event is nested too deep to be written as JSON", bad, changes=changes)
        return changes

    # --- lines -----------------------------------------------------------------------------------

    def _lines(self, parcel: Parcel, bad: list[Ref]) -> bytes:
        """One for each row and event, but those that JSON cannot hold: they are told in `bad`."""
        out: list[bytes] = []
        for part in parcel.parts:
            tail = self._prefix(part.session)
            for record in part.records:
                assert isinstance(record, Row | Event)
                if isinstance(record, Event):
                    record = self._media.keep(record, self._context.media)
                try:
                    body = _body(record)
                except RecursionError:
                    bad.append((part.session.id, record.seq))
                    continue
                step = b"null" if record.step is None else b"%d" % record.step
                out.append(b'{"time":%r,"step":%b,%b%d,%b}\n' % (record.time, step, tail, record.seq, body))
        return b"".join(out)

    def _prefix(self, session: Session) -> bytes:
        """What is the same in all lines of a session."""
        found = self._prefixes.get(session.id)
        if found is None:
            if len(self._prefixes) > 4096:
                self._prefixes.clear()
            fields = {"run": session.run.id, "rank": session.rank, "session": session.id}
            found = self._prefixes[session.id] = msgspec.json.encode(fields)[1:-1] + b',"seq":'
        return found

    def _primus_lines(self, parcel: Parcel) -> dict[str, bytes]:
        streams: dict[str, list[bytes]] = {}
        for part in parcel.parts:
            if part.session.kind != "run":
                continue
            local = -1 if part.session.local_rank is None else part.session.local_rank
            out = streams.setdefault(f"node_{part.session.node_rank or 0}/rank_{local}/wandb_metrics", [])
            for record in part.records:
                if isinstance(record, Row):
                    step = b"null" if record.step is None else b"%d" % record.step
                    out.append(b'{"timestamp":%r,"step":%b,"data":%b}\n' % (record.time, step, encode_metrics(record)))
        return {stream: b"".join(lines) for stream, lines in streams.items()}

    # --- files -----------------------------------------------------------------------------------

    def _path(self, stream: str, number: int) -> Path:
        if self.options.layout == "primus":
            return self._folder / (f"{stream}.jsonl" if number == 1 else f"{stream}-{number:08d}.jsonl")
        return self._folder / f"{stream}-{number:08d}.{'ndjson' if stream == SESSIONS else 'jsonl'}"

    def _cut_back(self) -> None:
        """Every file to what of it was committed."""
        for stream, place in list(self._places.items()):
            path = self._path(stream, place.number)
            if self._is_whole(path, place.offset):
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_size > place.offset:
                        os.truncate(path, place.offset)
            else:
                self._places[stream] = Place(place.number + 1, 0)
            with contextlib.suppress(FileNotFoundError):  # the next one, begun and not committed
                self._path(stream, place.number + 1).unlink()

    def _is_whole(self, path: Path, offset: int) -> bool:
        """Whether what was delivered is still there; said and counted where it is not."""
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size >= offset:
            return True
        log.error("%s has %d bytes, %d were delivered: someone changed it; a new file is begun", path, size, offset)
        self._context.count("damaged_files", 1)
        return False

    def _write(self, streams: dict[str, bytes]) -> Changes:
        changes: dict[str, bytes | None] = {}
        for stream, lines in streams.items():
            place = self._places.get(stream) or self._first_place(stream, lines)
            full = place.offset and place.offset + len(lines) > self.options.max_size
            if full or not self._is_whole(self._path(stream, place.number), place.offset):
                place = Place(place.number + 1, 0)
                self._remove_oldest(stream, place.number)
            path = self._path(stream, place.number)
            path.parent.mkdir(parents=True, exist_ok=True)
            _append(path, place.offset, lines)
            changes[stream] = json.dumps([place.number, place.offset + len(lines)]).encode()
        # Only now: what could not be written stays where it was, and is written over when it comes again.
        for stream, text in changes.items():
            self._places[stream] = Place(*json.loads(text or b""))
        return changes

    def _first_place(self, stream: str, lines: bytes) -> Place:
        """A new stream begins after files that are there already, which are someone else's; except that the last one is
        ours when it begins with our own first line: written, and cut short before its offset was committed.
        """
        newest = self._newest(stream)
        first = lines[: lines.index(b"\n") + 1]
        if newest and first.startswith(_first_line(self._path(stream, newest), len(first))):
            return Place(newest, 0)
        return Place(newest + 1, 0)

    def _newest(self, stream: str) -> int:
        """The highest number of a stream's files, 0 where there are none."""
        folder, _, name = stream.rpartition("/")
        endings = (path.stem.rpartition("-")[2] for path in (self._folder / folder).glob(f"{name}-*.jsonl"))
        numbers = [int(ending) for ending in endings if ending.isdecimal()]
        return max(numbers, default=int(self._path(stream, 1).exists()))

    def _remove_oldest(self, stream: str, number: int) -> None:
        old = self._path(stream, number - self.options.max_files)
        if number > self.options.max_files and old.exists():
            old.unlink()
            self._context.count("files_removed", 1)


def _first_line(path: Path, most: int) -> bytes:
    """A file's first line, or what there is of it."""
    with path.open("rb") as file:
        return file.readline(most)


def _append(path: Path, offset: int, data: bytes) -> None:
    """Write at `offset`, the end of what counts, and sync; raises OSError."""
    new = not path.exists()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        if os.fstat(fd).st_size > offset:
            os.ftruncate(fd, offset)
        written = 0
        while written < len(data):
            written += os.pwrite(fd, memoryview(data)[written:], offset + written)
        os.fdatasync(fd)
    finally:
        os.close(fd)
    if new:
        with contextlib.closing(_Folder(path.parent)) as folder:
            os.fsync(folder.fd)


class _Folder:
    """A folder's descriptor, to sync the name of a new file."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.fd)


def encode_metrics(row: Row) -> bytes:
    """A row's points as a strict JSON object."""
    total = sum(row.values)
    if total - total == 0:  # false as soon as one of them is not finite
        return msgspec.json.encode(dict(zip(row.names, row.values, strict=True)))
    return msgspec.json.encode(dict(spelled(row.names, row.values)))


def spelled(names: tuple[str, ...], values: tuple[float, ...]) -> Iterator[tuple[str, float | str]]:
    """Names and values, what is not finite spelled out."""
    for name, value in zip(names, values, strict=True):
        yield name, value if value - value == 0 else wire.spell(value)


def _body(record: Row | Event) -> bytes:
    if isinstance(record, Row):
        return b'"metrics":' + encode_metrics(record)
    return b'"event":' + _encode({"kind": record.kind, **record.data})


def _encode(data: dict[str, Any]) -> bytes:
    """An event as strict JSON, whatever a client put into it."""
    return json.dumps(strict(data), separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
