"""The files that `PRIMUS_LENS_WANDB_OUTPUT_PATH` asks for, written in the training process where no collector writes
them: a thread of their own reads what the link copies out of the journal, so that a slow or hanging folder holds up
neither `log()` nor the rows' way to the collector.

Each session has a file of its own, which nobody else wrote to. What the folder cannot take in time is left out of the
files, counted and told; the collector gets it all the same.
"""

import os
import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from . import wire
from .handover import segment_frames
from .importing import importing
from .row import Event, Row

MAX_WAITING = 16 << 20  #: bytes of frames that wait for the folder: as much as a journal may hold in memory
MAX_FILES = 100_000  #: files of one process's folder: one for each of its sessions, restarts and all
PATIENCE = 2.0  #: seconds `finish` waits for the folder

_NEWLINE = ord("\n")

HERE, THERE = "here", "there"  #: who writes, as a collector answers: it, or the client

_ENHANCED = (
    "PRIMUS_LENS_WANDB_ENHANCE_METRICS: hardware is measured by the collector, and not in the training process: the "
    "files written here go without; the collector writes them with it, if its sink for them names their folder"
)


class Output:
    """folder: the process's own, below the path that was asked for. writes: whether this process writes; once it does,
    it goes on, whatever a later collector says.
    """

    def __init__(self, folder: str, enhance: bool, tell: Callable[[str, str], None]) -> None:
        self.writes = False
        self._folder = folder
        self._enhance = enhance
        self._tell = tell
        self._number, self._end = -1, 0  # the segment last read, and how far
        self._waiting: Deque[bytes] = deque()
        self._size = 0
        self._left_out = 0
        self._there = threading.Condition()
        self._closing = False
        self._fd = -1
        self._torn = False  # what was written last ends within a line: its disk was full
        self._schemas: Dict[int, Tuple[str, ...]] = {}
        self._thread: Optional[threading.Thread] = None

    @classmethod
    def asked(cls, hello: Mapping[str, Any], tell: Callable[[str, str], None]) -> "Optional[Output]":
        """What a session's record asks for; None where it asks for no files."""
        told = hello.get("primus") or {}
        if not told.get("output"):
            return None
        from .primus_lines import folder_of

        place = folder_of(hello.get("node_rank"), hello.get("local_rank"))
        return cls(os.path.join(told["output"], place), bool(told.get("enhance")), tell)

    # --- the link's side -----------------------------------------------------------------------------------------

    def decide(self, who: Optional[str]) -> None:
        """A collector says who writes; None where it says nothing, or there is none."""
        if who == HERE or self.writes:
            return
        self.writes = True
        if self._enhance:
            self._tell("enhance", _ENHANCED)
        self._thread = threading.Thread(target=self._run, name="wayside-output", daemon=True)
        self._thread.start()

    def follow(self, segments: Iterable[Any]) -> None:
        """Copy what was committed since the last call. segments: all that were not let go, in order."""
        if not self.writes:
            return
        for segment in segments:
            if segment.number < self._number:
                continue
            if segment.number != self._number:
                self._number, self._end = segment.number, 0
            position = segment.position
            if position > self._end:
                data = segment.read(self._end, position)
                self._put(data if self._end else segment_frames(data))
                self._end = position

    def close(self) -> None:
        """Nothing more comes."""
        with self._there:
            self._closing = True
            self._there.notify()
        if self._thread is not None:
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                self._tell("output", f"{self._folder} takes no more: the end of the run may be missing in its file")
        if self._left_out:
            self._tell("output left out", f"{self._left_out} bytes of rows are not in the file in {self._folder}")

    def abandon(self) -> None:
        """In a forked child: the file is the parent's."""
        if self._fd >= 0:
            os.close(self._fd)

    def _put(self, frames: bytes) -> None:
        with self._there:
            if self._size + len(frames) > MAX_WAITING:
                self._left_out += len(frames)
                self._keep_schemas(frames)
                return
            self._waiting.append(frames)
            self._size += len(frames)
            self._there.notify()

    def _keep_schemas(self, frames: bytes) -> None:
        """Names announced in what is left out: later rows go by them."""
        schemas = [span for span in wire.scan(frames).spans if span.type == wire.SCHEMA]
        if schemas:
            self._waiting.append(b"".join(frames[span.start : span.end] for span in schemas))

    # --- its own thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._there:
                while not self._waiting and not self._closing:
                    self._there.wait()
                if not self._waiting:
                    break
                frames = self._waiting.popleft()
            try:
                self._write(frames)
            except Exception as problem:  # noqa: BLE001 -- the end of the road: whatever a file system or a frame does
                self._left_out += len(frames)
                why = getattr(problem, "strerror", None) or repr(problem)
                self._tell("output", f"{self._folder} cannot be written: {why} (tried again with the next rows)")
            with self._there:
                self._size -= min(len(frames), self._size)
        if self._fd >= 0:
            os.close(self._fd)

    def _write(self, frames: bytes) -> None:
        with importing():
            from .primus_lines import lines
        text = "".join(lines(self._records(frames), {}))
        if not text:
            return
        if self._fd < 0:
            self._fd = self._new_file()
        data = memoryview(("\n" * self._torn + text).encode("utf-8", "replace"))
        while data:
            size = os.write(self._fd, data)
            self._torn = data[size - 1] != _NEWLINE
            data = data[size:]

    def _new_file(self) -> int:
        """A file that nobody has written to."""
        from .primus_lines import file_name

        os.makedirs(self._folder, exist_ok=True)
        for number in range(1, MAX_FILES):
            path = os.path.join(self._folder, file_name(number))
            try:
                return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                continue
        raise FileExistsError(f"{MAX_FILES} files are in it")

    def _records(self, frames: bytes) -> Iterator[Union[Row, Event]]:
        found: List[Union[Row, Event]] = []
        for span in wire.scan(frames).spans:
            if span.type == wire.SCHEMA:
                self._schemas[span.schema] = wire.read_schema(frames, span)
            elif span.type == wire.ROW:
                found += wire.read_rows(frames, span, self._schemas[span.schema], 0)
            elif span.type == wire.NAMED_ROW:
                found.append(wire.read_named_row(frames, span, 0))
            elif span.type == wire.EVENT:
                found.append(wire.read_event(frames, span, 0))
        return iter(found)
