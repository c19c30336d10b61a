"""The link against a model: a journal handed over both ways to a collector that answers late, refuses, talks rubbish,
hangs up and dies, while the trainer logs and dies itself.

Everything that was accepted is, at any instant, stored by the collector or in files that a later one finds; what is
handed over again has the same number.
"""

import shutil
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from memory import make_folder
from standins.journal_reading import read_journal
from standins.journal_writer import TEARS, Writer, holds
from standins.scripted_collector import ScriptedCollector
from wayside import wire
from wayside.handover import Handover, Plan
from wayside.roots import Root

# Little enough for a socket's buffer, so that nobody waits here for anybody.
KINDS = st.sampled_from(["small", "other", "event"])
RUBBISH = st.sampled_from([b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 16, wire.frame(wire.ANSWER, b"[]"), bytes(8)])


class LinkMachine(RuleBasedStateMachine):
    """writer: the session that lives, or did last. told: what the user was told."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = make_folder("model-")
        self.mark = 0.0
        self.told: list[str] = []

    @initialize(send=st.booleans(), beside=st.booleans())
    def start(self, send: bool, beside: bool) -> None:
        """beside: the journal lies in memory; else below WAYSIDE_DIR itself."""
        self.collector = ScriptedCollector(self.folder / "socket")
        overflow = self.folder / "kept"
        root = Root(str(self.folder / "memory"), True) if beside else Root(str(self.folder / "disk"), False)
        self.writer = Writer(1, root, overflow)
        addresses = [str(self.collector.path)]
        plan = Plan(self.writer.record, addresses, str(overflow), 1 << 30, send, None, dict, self._tell)
        self.link = Handover(self.writer.journal, self.writer.keeper, plan)

    def _tell(self, key: str, message: str) -> None:
        self.told.append(message)

    # --- the trainer ----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.writer.alive)
    @rule(kind=KINDS, count=st.integers(1, 8))
    def log(self, kind: str, count: int) -> None:
        for _ in range(count):
            self.mark += 1
            self.writer.append(kind, self.mark)

    @precondition(lambda self: self.writer.alive)
    @rule()
    def fill(self) -> None:
        """The segment is full; the next is prepared, or not."""
        self.writer.journal.seal()

    @precondition(lambda self: self.writer.alive)
    @rule()
    def prepare(self) -> None:
        self.writer.journal.shelf.prepare(1)
        self.writer.journal.shelf.unmap()

    @precondition(lambda self: self.writer.alive)
    @rule(torn=st.sampled_from(TEARS), last=st.booleans())
    def kill(self, torn: str, last: bool) -> None:
        """Rarely: it ends the example but for what the files hold."""
        if last and self.mark > 30:
            self.writer.kill(torn)
            self.link.disconnect()

    # --- the link -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.writer.alive)
    @rule()
    def talk(self) -> None:
        self.link.hurry()
        try:
            self.link.talk()
        except (OSError, wire.WireError):
            self.link.disconnect()

    @precondition(lambda self: self.writer.alive and not self.link.answered)
    @rule(whole=st.booleans())
    def keep(self, whole: bool) -> None:
        """Without a collector: what is sealed moves, or only the copy of what is being written follows."""
        if whole:
            self.writer.keep()
        else:
            self.writer.follow()

    # Not beyond what a session may hold: each time the segment being written is sealed.
    @precondition(lambda self: self.writer.alive and len(self.writer.journal.shelf.sealed) < 20)
    @rule(kind=KINDS)
    def delete_folder(self, kind: str) -> None:
        """The journal's folder is deleted under it; the link looks each second."""
        shutil.rmtree(self.writer.folders[0])
        self.mark += 1
        self.writer.append(kind, self.mark)
        self.link.disconnect()
        journal = self.writer.journal
        journal.relocate(journal.shelf.root)
        journal.shelf.move_strays()

    # --- the collector --------------------------------------------------------------------------------------------

    @rule(how=st.sampled_from(["ok", "unreadable"]), more=st.sampled_from([{}, {"versions": [1, 2, 9]}, {"more": 1}]))
    def answer(self, how: str, more: dict[str, Any]) -> None:
        if self.collector.accept():
            self.collector.answer(how, **more)
            if self.writer.alive:
                self.talk()

    @rule()
    def store(self) -> None:
        self.collector.store()

    @rule()
    def store_in_silence(self) -> None:
        """What it stored is not heard of: it dies before it says so."""
        self.collector.store()
        self.collector.stop()

    @rule()
    def hang_up(self) -> None:
        self.collector.accept()
        self.collector.hang_up()

    @rule(away=st.booleans())
    def restart(self, away: bool) -> None:
        self.collector.stop()
        if not away:
            self.collector.start()

    @rule(data=RUBBISH)
    def talk_rubbish(self, data: bytes) -> None:
        self.collector.accept()
        self.collector.say(data)

    @rule()
    def refuse(self) -> None:
        if self.collector.accept():
            self.collector.say(wire.json_frame(wire.ERROR, {"error": "no"}))
            self.collector.receive()
            self.collector.hang_up()

    @rule(versions=st.sampled_from([[0], [2, 3], [], ["1"]]))
    def know_other_versions(self, versions: list[Any]) -> None:
        before = len(self.collector.hellos)
        if self.collector.accept():
            self.collector.answer("ok", versions=versions)
            if self.writer.alive:
                self.talk()
                assert not self.link.answered or len(self.collector.hellos) == before

    @rule()
    def lie(self) -> None:
        """It says that it stored more than was ever written."""
        if self.writer.alive:
            self.talk()
        if self.collector.accept():
            self.collector.say(wire.stored_frame(1 << 40))
            if self.writer.alive:
                self.talk()

    # --- what must hold -------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "writer"):
            return
        accepted, stored = self.writer.accepted, self.collector.rows
        assert all(accepted.get(seq) == held for seq, held in stored.items()), "invented"
        found = read_journal(*self.writer.folders)
        files = {record.seq: holds(record) for record in [*found.rows, *found.events]}
        assert all(accepted.get(seq) == held for seq, held in files.items())
        missing = [seq for seq in accepted if seq not in stored and seq not in files]
        assert not missing, f"{missing} are nowhere"

    def teardown(self) -> None:
        if hasattr(self, "writer"):
            self.finish()
        shutil.rmtree(self.folder)

    def finish(self) -> None:
        """A collector that works takes all there is, whatever was before; then nothing is left to be handed over."""
        self.collector.start()
        if self.writer.alive:
            self.link.disconnect()
            self.writer.journal.shelf.spare = 1 << 20
            self.log("event", 1)
            self.writer.journal.seal()
            for _ in range(3):
                self.talk()
                if self.collector.accept() and not self.link.answered:
                    self.collector.answer()
                self.collector.store()
            self.talk()
            assert set(self.collector.rows) == set(self.writer.accepted)
            assert not self.writer.journal.shelf.sealed
            assert not self.writer.keeper.segments
            self.writer.close(self.mark + 1)
        self.link.disconnect()
        self.collector.close()


class Thorough(LinkMachine):
    """The same at length."""


# Without shrinking: a failure is told at once, with the steps that led to it, and not after minutes.
QUICK = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
TestLink = pytest.mark.timeout(120)(LinkMachine.TestCase)
TestLink.settings = QUICK
TestLinkThoroughly = pytest.mark.long(pytest.mark.timeout(900)(Thorough.TestCase))
TestLinkThoroughly.settings = settings(QUICK, max_examples=400)
