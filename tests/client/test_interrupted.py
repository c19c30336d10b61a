"""A call that is left half-way: by an exception at any line of it, with or without calls from inside it.

What a signal handler, `__del__` or Ctrl-C does at random instants is done here at every single line, by a trace
function. Afterwards every row whose `log()` returned is there once, the numbers are right, and another thread can log.
Left out are the way out of a `with` and the word `try` itself, where no interpreter from 3.10 on lets an exception come
in between (3.8 and 3.9 do so within one instruction: the link's patience is for that).
"""

import ast
import inspect
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import numpy as np
import pytest
from standins.journal_reading import Frames, read_segments
from wayside import journal as journal_module
from wayside import packing, recorder, segments, shelf, wire
from wayside.journal import Journal
from wayside.packing import Frame
from wayside.recorder import Recorder
from wayside.roots import Root
from wayside.segments import SEGMENT_SIZE
from wayside.sessions import Identity, Surroundings

SESSION = "0123456789abcdef" * 2
HELLO = wire.json_frame(wire.HELLO, {"session": SESSION})
TRACED = (recorder, journal_module, shelf, segments, packing)
NAMES = tuple(f"m{number}" for number in range(10))


class Interrupt(BaseException):
    """What a signal handler raises."""


def lines_of(path: str, kind: type[ast.stmt]) -> set[int]:
    return {node.lineno for node in ast.walk(ast.parse(Path(path).read_text())) if isinstance(node, kind)}


FILES = {path: lines_of(path, ast.With) for path in map(inspect.getfile, TRACED)}
EMPTY = {path: lines_of(path, ast.Try) for path in FILES}


class At:
    """Runs `acts[n]` at the n-th line that is executed in the traced modules while `run` is called."""

    def __init__(self, acts: dict[int, Callable[[], None]]) -> None:
        self.acts = acts
        self.lines = 0
        self._inside: dict[FrameType, set[int]] = {}
        self._acting = False

    def run(self, call: Callable[[], None]) -> bool:
        """Whether the call returned."""
        sys.settrace(self._enter)
        try:
            call()
        except Interrupt:
            return False
        finally:
            sys.settrace(None)
            self._inside.clear()
        return True

    def _enter(self, frame: FrameType, event: str, value: Any) -> Any:
        return self._line if frame.f_code.co_filename in FILES and not self._acting else None

    def _line(self, frame: FrameType, event: str, value: Any) -> Any:
        if event != "line" or frame.f_lineno in EMPTY[frame.f_code.co_filename]:
            return self._line
        if frame.f_lineno in FILES[frame.f_code.co_filename]:
            seen = self._inside.setdefault(frame, set())
            if frame.f_lineno in seen:
                return self._line  # on the way out of the `with`
            seen.add(frame.f_lineno)
        self.lines += 1
        act = self.acts.get(self.lines)
        if act is not None:
            self._acting = True
            sys.settrace(None)
            try:
                act()
            finally:
                self._acting = False
                sys.settrace(self._enter)
        return self._line


class Run:
    """A recorder without a link, whose work another thread does when it is told to.

    returned, interrupted: the marks of rows by how their call ended; a row's mark is the value of its first metric.
    """

    def __init__(self, root: Root) -> None:
        identity = Identity("r", "r", "p", None, None, None, (), None, None)
        nobody = Surroundings(False, {}, [], root.path, 0, False, None, None, True)
        self.recorder = Recorder(identity, nobody)
        self.recorder._surroundings = nobody._replace(enabled=True)
        self.recorder._journal = self.journal = Journal(root, SESSION, HELLO)
        self.folder = Path(self.journal.shelf.folder.path)
        self.found = Frames()
        self.returned: list[int] = []
        self.interrupted: list[int] = []
        self._mark = 0
        self._number = 0
        self._others = ThreadPoolExecutor(1)

    def log(self, data: dict[str, Any] | None = None, at: At | None = None) -> None:
        """One call of ten metrics, or of these."""
        self._mark = mark = self._mark + 1
        data = {"m0": float(mark), **(dict.fromkeys(NAMES[1:], 0.5) if data is None else data)}
        done = at.run(lambda: self.recorder.log(data)) if at is not None else self.recorder.log(data) is None
        (self.returned if done else self.interrupted).append(mark)

    def log_inside(self) -> None:
        """As a handler does, in the middle of another call."""
        self.log()

    def link(self, *, late: bool = False) -> None:
        """What the link does each tick, and a row from its thread, before it or after: nothing of it may hang."""
        for work in (self.log, self.journal.rescue) if late else (self.journal.rescue, self.log):
            self._others.submit(work).result(60)

    def fill(self) -> None:
        """Rows up to the end of the segment, so that the next does not fit."""
        while (segment := self.journal.segment) is not None:
            if SEGMENT_SIZE - segment.position < wire.row_size(len(NAMES)):
                break
            self.log()

    def take_in(self) -> None:
        """Read what is sealed, check that it goes on where the last ended, and let it go."""
        for segment in read_segments(self.folder):
            if segment.header.sealed:
                assert segment.header.number == self._number
                self._number += 1
                self.found.jump(segment.header.first_seq, segment.header.first_point)
                self.found.take(segment.data, wire.HEADER_SIZE)
        self.journal.shelf.let_go(self.journal.seq)

    def end(self) -> Frames:
        """Everything, after a last row that tells every gap before it, and the seal."""
        self.journal.shelf.root = Root(self.journal.shelf.root.path, True)
        self.log()
        self.journal.seal()
        self.take_in()
        self.journal.close()
        self._others.shutdown()
        return self.found


@pytest.fixture
def run(memory: Path) -> Run:
    return Run(Root(str(memory), True))


def check(run: Run) -> None:
    """Every row that was logged is there once, and no other; of those interrupted each at most once."""
    found = run.end()
    marks = [int(row.values[0]) for row in found.rows]
    assert len(set(marks)) == len(marks)
    kept, missing = set(marks), set(run.returned) - set(marks)
    assert kept <= set(run.returned) | set(run.interrupted)
    assert len(missing) <= run.journal.dropped_rows <= len(missing) + len(run.interrupted)
    assert (found.seq, found.points) == (run.journal.seq, run.journal.points)
    assert sum(end - start for start, end in found.gaps) == found.seq - len(found.rows) - len(found.events)
    steps = [row.step for row in found.rows if row.auto_step]
    assert len(set(steps)) == len(steps)


def ready(run: Run) -> None:
    """The names are known: the next row takes the hot path."""
    run.log()


def no_room(run: Run) -> None:
    """A journal on a disk with no segment prepared: the next row is dropped."""
    run.journal.shelf.root = Root(run.journal.shelf.root.path, False)
    run.fill()
    run.log()


def back_on_disk(run: Run) -> None:
    """The same journal, with the next segment prepared, so that the gap is told by it."""
    no_room(run)
    run.journal.shelf.prepare(1)


def filled(run: Run) -> None:
    run.fill()


def odd_names(run: Run) -> dict[str, Any]:
    return {f"n{run._mark}": 0.5}


def numpy_row(run: Run) -> dict[str, Any]:
    return dict.fromkeys(NAMES[1:], np.float32(0.5))


def texts(run: Run) -> dict[str, Any]:
    return {"note": "text", **dict.fromkeys(NAMES[1:], 0.5)}


def wide_row(run: Run) -> dict[str, Any]:
    return {f"w{number}": 0.5 for number in range(33_000)}


CASES: list[tuple[Callable[[Run], None], Callable[[Run], dict[str, Any]] | None]] = [
    (ready, None),
    (ready, numpy_row),
    (ready, odd_names),
    (ready, texts),
    (ready, wide_row),
    (filled, None),
    (filled, texts),
    (no_room, None),
    (back_on_disk, None),
]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("before", "data"), CASES, ids=lambda case: getattr(case, "__name__", "plain"))
def test_an_exception_at_every_line(
    run: Run, before: Callable[[Run], None], data: Callable[[Run], dict[str, Any]] | None
) -> None:
    """One call after the other, each left one line later than the one before, until one gets through."""
    for line in range(1, 2000, 11 if data is wide_row else 1):
        before(run)
        at = At({line: _raise})
        run.log(data(run) if data is not None else None, at)
        run.link()
        run.take_in()
        if at.lines < line:
            break
    assert 15 < line < 1999
    assert len(run.interrupted) > 15 or data is wide_row
    check(run)


def _raise() -> None:
    raise Interrupt


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("before", "data"), CASES, ids=lambda case: getattr(case, "__name__", "plain"))
def test_calls_from_inside_at_every_line(
    run: Run, before: Callable[[Run], None], data: Callable[[Run], dict[str, Any]] | None
) -> None:
    """A handler that logs, at each line of a call in turn: both rows are there."""
    for line in range(1, 2000, 11 if data is wide_row else 1):
        before(run)
        at = At({line: run.log_inside})
        run.log(data(run) if data is not None else None, at)
        run.link()
        run.take_in()
        if at.lines < line:
            break
    assert 15 < line < 1999
    assert run.interrupted == []
    check(run)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(4))
def test_calls_and_exceptions_together(run: Run, seed: int) -> None:
    """Handlers that log, several times, and one that raises in the end, at random lines of random calls."""
    chance = random.Random(seed)
    for _ in range(150):
        before, data = chance.choice(CASES)
        run.journal.shelf.root = Root(run.journal.shelf.root.path, True)
        before(run)
        lines = sorted(chance.sample(range(1, 90), chance.randrange(1, 5)))
        acts: dict[int, Callable[[], None]] = dict.fromkeys(lines, run.log_inside)
        if chance.random() < 0.7:
            acts[lines[-1]] = _raise
        run.log(data(run) if data is not None else None, At(acts))
        run.link(late=chance.random() < 0.5)
        run.take_in()
    assert len(run.interrupted) > 20
    check(run)


class Reluctant(tuple[float, ...]):
    """Values that raise when they are packed for the first time."""

    asked: ClassVar[list[bool]] = []

    def __iter__(self) -> Iterator[float]:
        if not self.asked:
            self.asked.append(True)
            raise Interrupt
        return super().__iter__()


def test_a_row_that_waits_is_not_taken_for_one_that_came_after(run: Run) -> None:
    """What a call left waiting when it was torn away is written, although another thread's row came first."""
    run.log()
    frame = Frame(NAMES, Reluctant((99.0, *[0.5] * 9)), 1.0, 7, 1, b"")
    run.journal.side.append(frame)  # as from inside another call
    with pytest.raises(Interrupt):
        run.log()
    run.link(late=True)
    found = [row for segment in read_segments(run.folder) for row in segment.frames().rows]
    assert sorted(row.values[0] for row in found) == [1.0, 2.0, 3.0, 99.0]


@pytest.mark.timeout(120)
def test_two_exceptions_in_one_call(run: Run) -> None:
    """The second comes while the journal is being put right after the first."""
    for line in range(1, 200):
        ready(run)
        run.log(None, At({9: _raise}))
        at = At({line: _raise})
        run.log(numpy_row(run), at)
        run.link()
        run.take_in()
        if at.lines < line:
            break
    assert line > 15
    check(run)
