"""The spool against a dictionary: any sequence of what its users do, failures and restarts included."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from memory import make_folder
from spool.failing import FailingFiles
from spool.making import T0, WITHIN, as_contents, contents, make_batch, record_of, session_id
from wayside_collector.spool import SinkCommit, Spool, SpoolError, SpoolOptions
from wayside_collector.spool.files import ROLL_AGE
from wayside_collector.testing import FakeClock

SESSIONS = st.integers(1, 3)
SINKS = st.sampled_from(["a", "b"])


class SpoolMachine(RuleBasedStateMachine):
    """batches: number to what is stored. Each session's rows follow from where it stands, in the model as outside."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = make_folder("spool-")
        self.made: list[FailingFiles] = []
        self.clock = FakeClock(T0)
        self.keys: dict[int, int] = {}
        self.next_seq: dict[int, int] = {}
        self.batches: dict[int, tuple[int, int, int, bytes, bytes]] = {}
        self.accounts: dict[str, tuple[int, str, dict[int, str], dict[str, bytes]]] = {}

    def make_files(self, folder: Path) -> FailingFiles:
        self.made.append(FailingFiles(folder))
        return self.made[-1]

    @initialize()
    def start(self) -> None:
        options = SpoolOptions(self.folder / "spool", max_age=1e9)
        self.spool = Spool(options, clock=self.clock, make_files=self.make_files)
        self.spool.open()

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
        shutil.rmtree(self.folder)

    def begin(self, number: int) -> int:
        row = self.spool.begin_session(session_id(number), record_of(session_id(number)), T0).result(WITHIN)
        assert self.keys.setdefault(number, row.key) == row.key
        assert row.next_seq == self.next_seq.setdefault(row.key, 0)
        return row.key

    @rule(
        sizes=st.lists(st.tuples(SESSIONS, st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=5),
        fails=st.booleans(),
    )
    def append(self, sizes: list[tuple[int, int, int]], fails: bool) -> None:
        made, ends = [], dict(self.next_seq)
        for number, rows, events in sizes:
            key = self.begin(number)
            batch = make_batch(
                key, ends.get(key, 0), rows=rows, events=events, chain="system" if number == 3 else "scalars"
            )
            made.append(batch)
            ends[key] = batch.next_seq
        self.made[-1].fail_syncs = int(fails)
        try:
            stored = self.spool.append(made).result(WITHIN)
        except SpoolError:
            assert fails
            return
        assert not fails
        self.next_seq.update(ends)
        self.batches.update({one.id: as_contents(batch) for one, batch in zip(stored, made, strict=True)})

    @rule(sink=SINKS, session=SESSIONS, text=st.text(max_size=5), remove=st.booleans())
    def commit(self, sink: str, session: int, text: str, remove: bool) -> None:
        position, _, cursors, state = self.accounts.get(sink, (0, "", {}, {}))
        position += 1
        change: dict[int, str | None] = {session: None if remove else text}
        kept: dict[str, bytes | None] = {text: None if remove else b"x"}
        self.spool.commit(SinkCommit(sink, position, change, f"books {position}", kept)).result(WITHIN)
        cursors = {**{key: value for key, value in cursors.items() if key != session}, **_given(change)}
        state = {**{key: value for key, value in state.items() if key != text}, **_given(kept)}
        self.accounts[sink] = position, f"books {position}", cursors, state

    @rule()
    def roll(self) -> None:
        self.clock.forward(ROLL_AGE + 1)

    @precondition(lambda self: self.batches)
    @rule(pick=st.integers(0, 1000))
    def drop(self, pick: int) -> None:
        active = {file.number for file in self.spool._files.active.values()}
        closed = [row[0] for row in self.spool.query("SELECT number FROM files") if row[0] not in active]
        if not closed:
            return
        file = closed[pick % len(closed)]
        for stored in self.spool.batches_of_file(file):
            session, first, following, rows, events = self.batches[stored.id]
            if stored.rows is not None and stored.rows.file == file:
                rows = b""
            if stored.events is not None and stored.events.file == file:
                events = b""
            self.batches[stored.id] = session, first, following, rows, events
        self.spool.drop(file).result(WITHIN)

    @rule(how=st.sampled_from(["closed", "killed", "database lost"]))
    def restart(self, how: str) -> None:
        """Killed: what lies on the disk at this moment is what the next one finds."""
        if how == "killed":
            copy = Path(tempfile.mkdtemp(dir=self.folder)) / "copy"
            shutil.copytree(self.folder / "spool", copy)
            self.spool.close()
            shutil.rmtree(self.folder / "spool")
            copy.rename(self.folder / "spool")
        else:
            self.spool.close()
        if how == "database lost":
            for path in (self.folder / "spool").glob("spool.db*"):
                path.unlink()
            self.accounts.clear()
            self.batches = {number: batch for number, batch in self.batches.items() if any(batch[3:])}
            self.forget_totals()
        self.start()

    def forget_totals(self) -> None:
        """Without the database a session stands where its files end."""
        self.next_seq = {}
        for session, _, following, *_ in self.batches.values():
            self.next_seq[session] = max(self.next_seq.get(session, 0), following)
        self.keys = {number: key for number, key in self.keys.items() if key in self.next_seq}

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        if not hasattr(self, "spool"):
            return
        found = {number: batch for number, batch in contents(self.spool).items() if any(batch[3:])}
        assert found == {number: batch for number, batch in self.batches.items() if any(batch[3:])}
        for sink, (position, books, cursors, state) in self.accounts.items():
            assert self.spool.sink(sink) == (position, books)
            assert self.spool.cursors(sink) == cursors
            assert self.spool.state(sink) == state
        rows = {row.key: row.next_seq for row in self.spool.sessions()}
        assert all(rows[key] == seq for key, seq in self.next_seq.items())
        if self.batches:
            assert self.spool.last_batch() >= max(self.batches)


def _given(changes: dict[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in changes.items() if value is not None}


TestSpool = pytest.mark.timeout(90)(SpoolMachine.TestCase)
TestSpool.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
