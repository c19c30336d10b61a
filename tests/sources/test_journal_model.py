"""The journal against a model: writers, a reader and a spool that may each fail or die at any point.

Everything for which `append` returned is stored once or booked as lost at the client, in order; nothing is invented;
what is gone from the journal is in the spool.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from memory import make_folder
from standins.journal_writer import KINDS, TEARS, Writer, holds
from standins.lock_holder import LockHolder
from standins.memory_spool import Crash, MemorySpool
from wayside import row
from wayside.roots import Root
from wayside.row import Event, Row
from wayside_collector.intake import Inlet, Intake
from wayside_collector.registry import Registry
from wayside_collector.sources.journal import JournalSource
from wayside_collector.spool import SpoolError
from wayside_collector.testing import FakeClock

WRITERS = 2
PICK = st.integers(0, WRITERS - 1)
FATES = ["stored", "fails", "dies before", "dies after"]


class Reader:
    """A collector's life, from its start to its crash."""

    def __init__(self, spool: MemorySpool, roots: list[Path], damaged: Path, clock: FakeClock) -> None:
        registry = Registry()
        registry.load(spool)  # type: ignore[arg-type]
        self.intake = Intake(spool, registry)  # type: ignore[arg-type]
        self.source = JournalSource(self.intake, roots, lambda record: True, damaged, clock)
        self.told: dict[str, int] = {}
        self.expected: list[Inlet] = []
        self.source.on_stored = self._note
        for inlet, journals in self.intake.resume():
            folders = [Path(path) for path in journals if os.path.exists(path)]
            if folders:
                self.source.follow(inlet, folders)
            else:
                self.expected.append(inlet)

    def _note(self, inlet: Inlet) -> None:
        self.told[inlet.client_id] = inlet.told_seq

    async def hello(self, writer: Writer) -> None:
        inlet = await self.intake.begin(writer.record, [str(folder) for folder in writer.folders])
        self.source.follow(inlet, writer.folders)
        self.told[writer.id] = inlet.told_seq

    async def give_up(self) -> None:
        """As the socket does with a session without a journal that stays away."""
        for inlet in self.expected:
            if not self.source.follows(inlet):
                await self.intake.end(inlet)


class JournalMachine(RuleBasedStateMachine):
    """writers: of all times; at most two live at once. mark: of the next row, its value and its step."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = make_folder("model-")
        self.locks = LockHolder()
        self.runner = asyncio.Runner()
        self.clock = FakeClock(1000.0)
        self.spool = MemorySpool()
        self.writers: list[Writer] = []
        self.mark = 0.0

    @initialize(memory=st.booleans())
    def start(self, memory: bool) -> None:
        self.begin(memory)
        self.start_reader()

    def start_reader(self) -> None:
        roots = [self.folder / "memory", self.folder / "disk", self.folder / "kept"]
        self.reader = self.runner.run(self._made(roots))

    async def _made(self, roots: list[Path]) -> Reader:
        return Reader(self.spool, roots, self.folder / "damaged", self.clock)

    def pick(self, number: int) -> Writer | None:
        alive = [writer for writer in self.writers if writer.alive]
        return alive[number % len(alive)] if alive else None

    # --- writers --------------------------------------------------------------------------------------------------

    @precondition(lambda self: sum(writer.alive for writer in self.writers) < WRITERS and len(self.writers) < 6)
    @rule(memory=st.booleans())
    def begin(self, memory: bool) -> None:
        root = Root(str(self.folder / ("memory" if memory else "disk")), memory)
        self.writers.append(Writer(len(self.writers), root, self.folder / "kept", self.locks))

    @rule(pick=PICK, kind=st.sampled_from(KINDS), count=st.integers(1, 12))
    def log(self, pick: int, kind: str, count: int) -> None:
        writer = self.pick(pick)
        for _ in range(count if writer is not None else 0):
            self.mark += 1
            writer.append(kind, self.mark)

    @rule(pick=PICK, count=st.integers(1, 3))
    def prepare(self, pick: int, count: int) -> None:
        if (writer := self.pick(pick)) is not None:
            writer.journal.shelf.prepare(count)
            writer.journal.shelf.unmap()

    @rule(pick=PICK)
    def keep(self, pick: int) -> None:
        if (writer := self.pick(pick)) is not None:
            writer.keep()

    @rule(pick=PICK)
    def let_go(self, pick: int) -> None:
        if (writer := self.pick(pick)) is not None:
            writer.let_go(self.reader.told.get(writer.id, 0))

    @rule(pick=PICK)
    def close(self, pick: int) -> None:
        if (writer := self.pick(pick)) is not None:
            self.mark += 1
            writer.close(self.mark)

    @rule(pick=PICK, torn=st.sampled_from(TEARS))
    def kill(self, pick: int, torn: str) -> None:
        if (writer := self.pick(pick)) is not None:
            writer.kill(torn)

    # --- the collector --------------------------------------------------------------------------------------------

    @rule(pick=PICK)
    def hello(self, pick: int) -> None:
        """As when the link connects: whatever was copied of the segment being written is of no use any more."""
        if (writer := self.pick(pick)) is not None:
            self.runner.run(self.reader.hello(writer))
            writer.keeper.forget_copy()

    @rule(pick=PICK, kind=st.sampled_from(KINDS), fate=st.sampled_from(FATES))
    def log_and_look(self, pick: int, kind: str, fate: str) -> None:
        """What is told of is read, and more of it the next time: most faults need that."""
        if (writer := self.pick(pick)) is not None:
            if not self.reader.source.follows(self.runner.run(self.reader.intake.begin(writer.record))):
                self.hello(pick)
            self.log(pick, kind, 2)
        self.look(fate)
        self.log(pick, kind, 2)

    @rule(fate=st.sampled_from(FATES))
    def look(self, fate: str) -> None:
        self.spool.script = [fate]
        try:
            self.runner.run(self.reader.source.look())
        except SpoolError:
            assert fate == "fails"
        except Crash:
            assert fate.startswith("dies")
            self.start_reader()
        self.spool.script = []

    @rule(data=st.data())
    def look_and_die_while_unlinking(self, data: st.DataObject) -> None:
        """Of what the collector would have unlinked, some is still there."""
        before = self._hold_files()
        self.spool.dies_at_end = True
        with contextlib.suppress(Crash):
            self.runner.run(self.reader.source.look())
        self.spool.dies_at_end = False
        for path, held in sorted(before.items(), key=lambda item: item[0].name == "lock"):  # which goes last
            others = path.name == "lock" and path.parent.exists()
            if not path.exists() and (others or data.draw(st.booleans())):
                path.parent.mkdir(exist_ok=True)
                os.link(held, path)
        self.start_reader()

    def _hold_files(self) -> dict[Path, Path]:
        """A second name for each file of the dead, whom nobody but the collector unlinks."""
        store = Path(tempfile.mkdtemp(dir=self.folder))
        found = {}
        for writer in self.writers:
            for folder in writer.folders if not writer.alive else ():
                for path in folder.glob("*"):
                    found[path] = store / f"{len(found)}"
                    os.link(path, found[path])
        return found

    @rule()
    def look_for_orphans(self) -> None:
        self.runner.run(self.reader.source.look_for_orphans())

    @rule()
    def restart(self) -> None:
        self.start_reader()

    @rule(seconds=st.sampled_from([1.0, 6.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.clock.forward(seconds)

    # --- what must hold -------------------------------------------------------------------------------------------

    @invariant()
    def what_is_stored_is_what_was_logged(self) -> None:
        for writer in self.writers:
            key = self.spool.key_of(writer.id)
            if key is None:
                continue
            records = self.spool.records(key)
            for record in records[writer.checked :]:
                assert _is_end(record) or writer.accepted.get(record.seq) == holds(record), "invented"
            writer.checked = len(records)
            told = self.reader.told.get(writer.id, 0)
            stored = {record.seq for record in records}
            assert {seq for seq in writer.accepted if seq < told} <= stored, "let go of what is not stored"

    def teardown(self) -> None:
        try:
            if hasattr(self, "reader"):
                self.settle()
        finally:
            self.runner.close()
            self.locks.close()
            shutil.rmtree(self.folder)

    def settle(self) -> None:
        """Everyone dies; one last collector finds all there is."""
        for writer in self.writers:
            if writer.alive:
                writer.kill("nothing")
        self.start_reader()
        for _ in range(30):
            self.clock.forward(20)
            for folder in {folder for writer in self.writers for folder in writer.folders if folder.exists()}:
                os.utime(folder, (0, 0))  # one without a segment must be old before it is taken for left over
            self.runner.run(self.reader.source.look_for_orphans())
            self.runner.run(self.reader.source.look())
        self.runner.run(self.reader.give_up())
        for writer in self.writers:
            self._settled(writer)

    def _settled(self, writer: Writer) -> None:
        left = [path for folder in writer.folders for path in folder.glob("*")]
        assert not left, f"left of {writer.id}: {left}"
        key = self.spool.key_of(writer.id)
        if key is None:
            assert not writer.accepted
            assert not writer.dropped
            return
        *logged, end = self.spool.records(key)
        assert _is_end(end)
        assert {record.seq: holds(record) for record in logged} == writer.accepted
        lost = [loss for loss in self.spool.losses if loss.session == key]
        seqs = [seq for loss in lost for seq in range(loss.first_seq, loss.next_seq)]
        assert sorted(seqs) == sorted(writer.dropped)
        assert sum(loss.points for loss in lost) == sum(writer.dropped.values())


def _is_end(record: Row | Event) -> bool:
    return isinstance(record, Event) and record.kind == row.FINISH


class Thorough(JournalMachine):
    """The same at length."""


# Without shrinking: a failure is told at once, with the steps that led to it, and not after minutes.
QUICK = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
TestJournal = pytest.mark.timeout(120)(JournalMachine.TestCase)
TestJournal.settings = QUICK
TestJournalThoroughly = pytest.mark.long(pytest.mark.timeout(900)(Thorough.TestCase))
TestJournalThoroughly.settings = settings(QUICK, max_examples=400)
