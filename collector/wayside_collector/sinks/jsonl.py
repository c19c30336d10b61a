"""Files of JSON lines: every row and event, in numbered files that are only appended to.

    {"time": 1767225600.5, "step": 3, "run": "r1", "rank": 0, "session": "…", "seq": 3, "metrics": {"loss": 0.5}}
    {"time": 1767225601.0, "step": 3, "run": "r1", "rank": 0, "session": "…", "seq": 4, "event": {"kind": "alert", …}}

Strict JSON: what is not finite stands as "NaN", "Infinity", "-Infinity". Exactly once: `line_files.py` says how. Beside
them, `sessions-00000001.ndjson` says who the sessions are (`introductions.py`), so that a store can be built again from
this folder alone.

With `layout: primus` the files lie and read as those of AMD's exporter: `node_{N}/rank_{local
rank}/wandb_metrics.jsonl`, one line a call, {"timestamp", "step", "data"}, and what is no row is left out.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from wayside import wire
from wayside.row import Event, Row

from ..configuration.units import Bytes
from ..session import Session
from ..strict import strict
from .base import Changes, Context, Parcel, Ref, Reject, Retry, SinkOptions, Traits
from .introductions import Introductions
from .kept_media import KeptMedia
from .line_files import LineFiles
from .primus_files import PrimusLayout, PrimusLines, output_of

SESSIONS = "sessions"  #: the files of who they are; of another ending, so that `*.jsonl` is rows and events


class JsonlOptions(SinkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """path: the folder, `jsonl` in the sink's own folder when not given. layout: "wayside", or "primus" for that
    system's paths and keys. max_size: bytes of a file before the next one is begun. max_files: the oldest beyond it
    are removed. outputs: with `primus`, roots below which a session's own PRIMUS_LENS_WANDB_OUTPUT_PATH is written to;
    sessions that name none below them are left out. max_media: bytes of pictures and other files, kept in its folder
    `media`; the oldest beyond it go.
    """

    path: str | None = None
    layout: Literal["wayside", "primus"] = "wayside"
    max_size: Bytes = 64 << 20
    max_files: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 160
    max_media: Bytes = 1 << 30
    outputs: tuple[str, ...] = ()

    def check(self) -> list[str]:
        """What is wrong beyond the types, each text beginning with the option's name."""
        problems = [f"outputs: {one!r:.80} must be an absolute path" for one in self.outputs if not os.path.isabs(one)]
        if self.outputs and self.layout != "primus":
            problems.append("outputs: has no meaning without layout: primus")
        return problems


def writes_output(session: Session, options: JsonlOptions) -> bool:
    """Whether this sink writes the files that the session asks for."""
    return options.layout == "primus" and output_of(session, options.outputs) is not None


def leaves_out(session: Session, options: JsonlOptions) -> str | None:
    """See `base.Traits`: the sink writes what sessions ask for, and this one asks for nothing it can write."""
    return "no_output_path" if options.outputs and not writes_output(session, options) else None


class NumberedFiles:
    """See `line_files.Layout`: `rows-00000001.jsonl` in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def shared(self, stream: str) -> bool:
        return False

    def name(self, stream: str, number: int) -> str:
        return f"{stream}-{number:08d}.{'ndjson' if stream == SESSIONS else 'jsonl'}"

    def folder(self, stream: str, *, make: bool) -> Path:
        if make:
            self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def close(self) -> None:
        return None


class JsonlSink:
    """Appends lines."""

    traits: ClassVar[Traits] = Traits(max_records=4000, leaves_out=leaves_out)

    def __init__(self, options: JsonlOptions) -> None:
        self.options = options
        self._context = Context("jsonl", Path("."))
        self._folder = Path(".")
        self._layout = self._make_layout()
        self._files = LineFiles(self._layout, options.max_size, options.max_files, {}, self._context.count)
        self._primus = PrimusLines(options.outputs)
        self._prefixes: dict[str, bytes] = {}
        self._introductions = Introductions()
        self._media = KeptMedia(self._folder / "media", options.max_media, self._context.count)

    async def open(self, context: Context) -> None:
        self._context = context
        self._folder = Path(self.options.path) if self.options.path else context.folder
        self._media = KeptMedia(self._folder / "media", self.options.max_media, context.count)
        self._layout.close()
        self._layout = self._make_layout()
        limits = (self.options.max_size, self.options.max_files)
        self._files = LineFiles(self._layout, *limits, context.state, context.count)
        self._primus = PrimusLines(self.options.outputs)
        self._introductions = Introductions()
        with self._retried():
            await asyncio.to_thread(self._files.cut_back)

    def _make_layout(self) -> NumberedFiles | PrimusLayout:
        if self.options.layout == "primus":
            return PrimusLayout(self._folder, self.options.outputs)
        return NumberedFiles(self._folder)

    async def send(self, parcel: Parcel) -> Changes:
        with self._retried():
            return await asyncio.to_thread(self._append_all, parcel)

    async def close(self) -> None:
        self._layout.close()

    @contextlib.contextmanager
    def _retried(self) -> Iterator[None]:
        """What the file system refuses may be mended while rows wait: a line for the operator, and again later."""
        try:
            yield
        except OSError as problem:
            place = problem.filename or self._folder
            if str(place).startswith("/proc/self/fd/"):  # a folder that is held open
                place = os.path.realpath(place)
            raise Retry(
                f"{place} cannot be written ({problem.strerror or problem}): make room, "
                f"or give `sinks.{self._context.name}.path` another folder"
            ) from problem

    def _append_all(self, parcel: Parcel) -> Changes:
        if self.options.layout == "primus":
            return self._files.write(self._primus.streams(parcel))
        bad: list[Ref] = []
        streams = {"rows": self._lines(parcel, bad), SESSIONS: self._introductions.lines(parcel.parts)}
        changes = self._files.write({stream: lines for stream, lines in streams.items() if lines})
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
