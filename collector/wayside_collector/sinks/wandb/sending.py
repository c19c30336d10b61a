"""One send: opens the runs of a parcel, ships what is new, waits for the answers, and says what became of each row."""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from functools import partial

from ..base import Changes, Context, Parcel, Ref, Reject, Retry, Step
from .course import Course
from .encode import Encoded, Plan
from .feed import Feed, Problem
from .flight import Numbered, RunKey
from .kept import Kept, State
from .ledger import Entry, Ledger, Refused, carried
from .limits import Limits
from .options import WandbOptions
from .process import Child, ChildLost
from .protocol import SampleOp, Settle, Ship, Shipped
from .relay import Relay
from .runs import Blocked, Runs
from .shipment import Loading, Shipment
from .uploads import Tasks, put_lines, put_uploads

log = logging.getLogger(__name__)


@dataclass
class Tools:
    """What an open sink has."""

    options: WandbOptions
    limits: Limits
    context: Context
    ledger: Ledger
    state: State
    runs: Runs
    _noting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def note(self, entries: list[Entry]) -> None:
        """Into the ledger. Raises OSError."""
        async with self._noting:
            aloft: list[Entry] = []
            if self.ledger.full:
                for key, course in self.runs.courses.items():
                    aloft += carried(key, course.flight)
            await asyncio.to_thread(self.ledger.append, entries, aloft)

    async def note_refused(self, key: RunKey, step: int | None, sample: int | None) -> None:
        """Into the ledger: this line does not hold its row. Raises OSError."""
        steps, samples = [] if step is None else [step], [] if sample is None else [sample]
        await self.note([Refused(key, steps, samples)])


class Sending:
    """The send of one parcel. problems: what stands in the way. full: why nothing more goes into folders."""

    def __init__(self, tools: Tools, parcel: Parcel, encoded: Encoded, full: Problem | None = None) -> None:
        self.problems: list[Problem] = []
        self._tools = tools
        self._runs = tools.runs
        self._parcel = parcel
        self._needs = encoded.needs
        self._runs.refused.update(encoded.refused)
        self._plans = [plan for plan in encoded.plans.values() if not self._done(plan)]
        self._touched: list[Course] = []
        self._full = full

    @property
    def idle(self) -> bool:
        """Whether nothing of the parcel has to go anywhere."""
        return not self._plans

    @property
    def uploads(self) -> bool:
        """Whether something of it has to go to W&B itself."""
        return any(not plan.key.offline for plan in self._plans)

    async def run(self, child: Child) -> None:
        """Raises ChildLost or ChildFailed; the child must then be ended."""
        ready = await self._upload(await self._open(child), child)
        if sum(len(course.flight) for course in self._runs.courses.values()) < self._tools.limits.aloft:
            await self._ship(ready, child)
        await self._wait_for_files([one for one in ready if one[1].key.offline], child)
        online = [one for one in ready if not one[1].key.offline]
        if online and self._runs.relay is not None:
            await self._wait_for_backend(online, child, self._runs.relay)
        for plan, course in ready:
            if plan.finish is not None and self._done(plan, but_finish=True):
                await self._runs.close(course, child, plan.finish.exit_code)
                course.exit_code, course.finished_at = plan.finish.exit_code, plan.finish.time
                self._runs.delivered.add(plan.key, [plan.finish.ref])

    # --- the steps ---------------------------------------------------------------------------------------------------

    async def _open(self, child: Child) -> list[tuple[Plan, Course]]:
        ready = []
        for plan in self._plans:
            if plan.key.offline and self._full is not None:
                self.problems.append(self._full)
                continue
            course = self._runs.course(plan.key)
            self._touched.append(course)
            if course.finished_at is not None and plan.started > course.finished_at:
                course.exit_code = course.finished_at = None  # a new session: the run goes on
            try:
                ready.append((plan, await self._runs.open(plan, child)))
            except Blocked as blocked:
                self.problems.append(blocked.problem)
                if not blocked.alone:
                    break
        return [(plan, course) for plan, course in ready if course.opened]  # opening one may have closed another

    async def _upload(self, ready: list[tuple[Plan, Course]], child: Child) -> list[tuple[Plan, Course]]:
        """The runs whose media are at W&B: their lines may go."""
        limits, context, left = self._tools.limits, self._tools.context, []
        tasks = Tasks(child, limits, self._runs.relay, self._runs.refused, context.media, context.count)
        for plan, course in ready:
            settled = partial(self._settled, plan.key)
            problem = await put_lines(tasks, plan, course, settled)
            if problem is None:
                await put_uploads(tasks, plan, course, settled)
                left.append((plan, course))
            else:
                self.problems.append(problem)
        return left

    async def _ship(self, ready: list[tuple[Plan, Course]], child: Child) -> None:
        tools, now = self._tools, time.monotonic()
        every_row = tools.options.step_axis == "wayside"
        held = partial(tools.context.count, "alerts_held", 1)
        shipments = []
        for plan, course in ready:
            shipment = Loading(course, partial(self._settled, plan.key), every_row, now, held).load(plan)
            self._runs.delivered.add(plan.key, shipment.done)
            shipments.append(shipment)
        batch = tools.ledger.newest + 1
        entries = [entry for shipment in shipments for entry in shipment.entries(batch)]
        if entries:
            try:
                await tools.note(entries)
            except OSError as problem:
                self.problems.append(Problem(f"the W&B sink's ledger cannot be written: {problem.strerror}"))
                return
        for shipment in shipments:
            if shipment.restepped:
                tools.context.count("restepped", shipment.restepped)
            await self._hand_over(shipment, batch, child)

    async def _hand_over(self, shipment: Shipment, batch: int, child: Child) -> None:
        course, count = shipment.course, self._tools.context.count
        for chunk in shipment.chunks():
            # Between these two lines nothing may wait: what departs must be in the pipe.
            shipment.depart(chunk, batch, time.monotonic())
            answer = await child.ask(Ship(course.handle, [one.op for one in chunk]), self._tools.limits.command_timeout)
            assert isinstance(answer, Shipped)
            for index, reason in answer.refused:
                one = chunk[index]
                if isinstance(one.of, Numbered):
                    await self._tools.note_refused(course.key, one.of.step, None)
                refs = shipment.turned_down(one)
                self._runs.refused.update(dict.fromkeys(refs, f"the W&B SDK does not take it: {reason}"))
            if answer.unsupported:
                count("system_unsupported", answer.unsupported)
                for one in chunk:
                    if isinstance(one.op, SampleOp):
                        self._runs.delivered.add(course.key, shipment.turned_down(one))

    async def _wait_for_backend(self, ready: list[tuple[Plan, Course]], child: Child, relay: Relay) -> None:
        """Until each run's rows are acknowledged, or something stands in their way."""
        limits, options = self._tools.limits, self._tools.options
        posts = {course.key: _sent(course.feed) for _, course in ready if course.feed is not None}
        deadline = time.monotonic() + options.upload_interval + limits.upstream_timeout + limits.pause + 10.0
        while True:
            relay.changed.clear()
            waiting = []
            for plan, course in ready:
                self._runs.collect(course)
                if course.feed is not None and course.feed.problem is None and self._aloft(plan, course):
                    waiting.append(course)
            if child.gone or child.stopped:
                raise ChildLost("the W&B SDK ended, or gave an upload up, before all rows were acknowledged")
            left = deadline - time.monotonic()
            if not waiting or left <= 0:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await relay.changed.wait()
        for plan, course in ready:
            self._tell(course)
            if course.feed is not None and course.feed.problem is not None and self._aloft(plan, course):
                self.problems.append(course.feed.problem)
        if waiting:
            self.problems.append(Problem(f"W&B has not acknowledged rows of {waiting[0].key} in time"))
            if all(one.feed is not None and _sent(one.feed) == posts.get(one.key) for one in waiting):
                raise ChildLost("the W&B SDK sends nothing")

    async def _wait_for_files(self, ready: list[tuple[Plan, Course]], child: Child) -> None:
        timeout = self._tools.limits.command_timeout
        for plan, course in ready:
            if self._aloft(plan, course):
                await child.ask(Settle(course.handle, timeout), 2 * timeout)
                self._runs.delivered.add(course.key, course.land_all())

    def _aloft(self, plan: Plan, course: Course) -> bool:
        """Whether something of this plan is on its way."""
        return any(course.carries(ref) for ref in plan.refs())

    def _tell(self, course: Course) -> None:
        """What people should know of this run."""
        feed = course.feed
        if feed is not None and feed.stop_asked:
            feed.stop_asked = False
            self._tools.context.count("stop_requests", 1)
            log.warning("someone asked W&B to stop run %s; Wayside ends no training, and goes on", course.key)
        if feed is not None and feed.summary_refused is not None:
            self._tools.context.count("summary_refused", 1)
            log.error("W&B does not take the summary of run %s: %s", course.key, feed.summary_refused)
            feed.summary_refused = None

    # --- what became of it -------------------------------------------------------------------------------------------

    def _settled(self, key: RunKey, ref: Ref) -> bool:
        return self._runs.delivered.has(key, ref) or ref in self._runs.refused

    def _done(self, plan: Plan, but_finish: bool = False) -> bool:
        """Whether nothing of this plan is left to do."""
        if not all(self._settled(plan.key, ref) for ref in plan.refs()):
            return False
        return but_finish or plan.finish is None or self._settled(plan.key, plan.finish.ref)

    def verdict(self) -> Changes:
        """The kept state's changes when all was delivered. Raises Retry or Reject."""
        refused = self._runs.refused
        delivered: set[Ref] = set()
        turned_down: set[Ref] = set()
        left: list[Ref] = []
        for part in self._parcel.parts:
            for record in part.records:
                seqs = record.seqs if isinstance(record, Step) else (record.seq,)
                refs = [(part.session.id, seq) for seq in seqs]
                if any(ref in refused for ref in refs):
                    turned_down.update(refs)
                elif all(self._runs.delivered.has(key, ref) for ref in refs for key in self._needs.get(ref, ())):
                    delivered.update(refs)
                else:
                    left += refs
        for key in {key for ref in delivered for key in self._needs.get(ref, ())}:
            self._runs.course(key).flight.report(delivered)
        changes = self._changes()
        if left:
            raise self._retry(left, delivered, changes)
        if turned_down:
            reasons = sorted({refused.pop(ref) for ref in turned_down if ref in refused})
            raise Reject("; ".join(reasons[:3]), turned_down, changes=changes)
        return changes

    def _retry(self, left: list[Ref], delivered: set[Ref], changes: Changes) -> Retry:
        texts = list(dict.fromkeys(problem.text for problem in self.problems))
        times = [problem.not_before for problem in self.problems if problem.not_before is not None]
        aloft = any(ref in self._runs.course(key).flight for ref in left for key in self._needs.get(ref, ()))
        alone = bool(self.problems) and all(problem.alone for problem in self.problems)
        return Retry(
            "; ".join(texts[:3]) or "some rows are still on their way to W&B",
            not_before=max(times, default=None),
            delivered=delivered,
            uncertain=aloft,
            changes=changes,
            runs=self._runs_of(left) if alone else (),
        )

    def _runs_of(self, refs: list[Ref]) -> set[str]:
        sessions = {session for session, _ in refs}
        return {part.session.run.id for part in self._parcel.parts if part.session.id in sessions}

    def _changes(self) -> Changes:
        tools = self._tools
        # A batch is settled when the pump has been told of all of it: until then a crash puts it in question.
        oldest = [batch for one in self._runs.courses.values() if (batch := one.flight.oldest()) is not None]
        settled = min(oldest) - 1 if oldest else tools.ledger.newest
        touched = {
            one.key: Kept(one.settled, tools.ledger.newest, one.exit_code, one.finished_at) for one in self._touched
        }
        return tools.state.change(settled, touched)


def _sent(feed: Feed) -> tuple[int, int, int]:
    """What of it moves while the SDK sends anything."""
    return feed.posts, feed.puts, feed.busy
