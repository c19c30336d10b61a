"""Opens runs in the child and closes them; settles what was on its way when one was opened before.

The order matters. A run is opened first and says how far it is: online, W&B's RunResumeStatus as the relay read it;
offline, the file of its last folder, read back. Only then are rows numbered, written to the ledger, and shipped. So
whatever the ledger numbers was above what W&B had, and after a crash the rows up to W&B's last `_step` are there and
the others are not.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from ..base import Ref
from .course import Course
from .encode import Config, Plan
from .feed import Problem
from .flight import Delivered, RunKey
from .kept import State
from .ledger import Uncertain
from .limits import Limits
from .options import WandbOptions
from .process import Child, ChildFailed
from .protocol import Close, Found, Identity, Inspect, Open, Opened
from .relay import Relay

log = logging.getLogger(__name__)


class Blocked(Exception):
    """The run cannot be opened now. alone: the others may fare better."""

    def __init__(self, problem: Problem, alone: bool = True) -> None:
        super().__init__(problem.text)
        self.problem = problem
        self.alone = alone


class Runs:
    """relay: None while there is no way to W&B, `no_way` says why. delivered, refused: what is found of a row's fate is
    added to them.
    """

    def __init__(self, options: WandbOptions, limits: Limits, relay: Relay | None, state: State) -> None:
        self.delivered = Delivered()
        self.refused: dict[Ref, str] = {}
        self.courses: dict[RunKey, Course] = {}
        self.child: Child | None = None
        self.no_way = Problem("there is no way to W&B yet", alone=True)
        self._options = options
        self._limits = limits
        self.relay = relay
        self._state = state
        self._handles = 0

    def stir(self) -> None:
        """The child has news."""
        if self.relay is not None:
            self.relay.changed.set()

    def restore(self, uncertain: Mapping[RunKey, Uncertain]) -> None:
        """After a start: what the ledger says was on its way."""
        for key, found in uncertain.items():
            course = self.course(key)
            course.segments = found.segments
            course.flight.resume(found.lines, found.samples)

    def course(self, key: RunKey) -> Course:
        course = self.courses.get(key)
        if course is None:
            self._handles += 1
            course = self.courses[key] = Course(key, str(self._handles))
            kept = self._state.run(key)
            if kept is not None:
                course.known_last = course.flight.last = kept.last
                course.exit_code, course.finished_at = kept.exit_code, kept.finished_at
                course.introduced = True
        return course

    def _forget(self) -> None:
        """Of runs that are over, no more than `limits.known_runs` are kept in memory."""
        over = [key for key, one in self.courses.items() if not one.opened and one.flight.oldest() is None]
        for key in over[: max(0, len(self.courses) - self._limits.known_runs)]:
            del self.courses[key]

    @property
    def opened(self) -> list[Course]:
        return [course for course in self.courses.values() if course.opened]

    def collect(self, course: Course) -> None:
        """Take note of what W&B has acknowledged of this run."""
        landing = course.collect()
        self.delivered.add(course.key, landing.delivered)
        self.refused.update(landing.refused)

    async def open(self, plan: Plan, child: Child) -> Course:
        """The run's course, open. Raises Blocked, or ChildLost."""
        course = self.course(plan.key)
        course.used = time.monotonic()
        if course.opened:
            return course
        while len(self.opened) >= self._limits.open_runs:
            # Of those with rows on their way none can be closed soon.
            await self.close(min(self.opened, key=lambda one: (bool(one.flight), one.used)), child)
        for other in self.opened:
            if other.key.id == course.key.id:  # wandb-core has one run of an id at a time, whatever its project
                await self.close(other, child)
        try:
            if course.key.offline:
                await self._open_offline(course, plan, child)
            elif self.relay is None:
                raise Blocked(self.no_way)
            else:
                await self._open_online(course, plan, child, self.relay)
        except asyncio.CancelledError:
            child.stopped.add(course.handle)  # it may be open in there, or half open
            raise
        course.opened = course.introduced = True
        log.info("W&B: run %s is open, its next step is %d", course.key, course.flight.last + 1)
        return course

    async def _open_online(self, course: Course, plan: Plan, child: Child, relay: Relay) -> None:
        feed = course.feed = relay.admit(course.key)
        command = Open(course.handle, _identity(course, plan), _config(course, plan), relay.url(feed), feed.token)
        try:
            opened = await self._open(command, child)
        except ChildFailed as failed:
            await relay.dismiss(feed)
            course.feed = None
            problem = feed.problem or Problem(f"the W&B SDK cannot open the run {course.key}: {failed}", alone=True)
            raise Blocked(problem, alone=feed.problem is None or feed.problem.status is not None) from failed
        course.folder = opened.folder
        standing = feed.standing
        last = opened.next_step - 1
        if standing is not None and standing.last is not None:
            last = standing.last
        await self._wait_for_backend(course, last, child)
        samples = standing.samples if standing is not None else 0
        self.delivered.add(course.key, course.flight.land(last) + course.flight.land_samples(samples))
        course.flight.restart(max(last, opened.next_step - 1), samples)
        _know_keys(course, opened)

    async def _wait_for_backend(self, course: Course, last: int, child: Child) -> None:
        """W&B may show a moment too little: rows it has acknowledged would be written over."""
        if last >= course.known_last:
            course.behind_since = None
            return
        now = time.monotonic()
        course.behind_since = course.behind_since if course.behind_since is not None else now
        if now - course.behind_since > self._limits.behind:
            log.warning("W&B: run %s ends at step %d, not %d: deleted there?", course.key, last, course.known_last)
            course.known_last, course.behind_since = last, None
            return
        course.opened = True
        await self.close(course, child)
        raise Blocked(
            Problem(
                f"W&B shows run {course.key} up to step {last} only, but has acknowledged step {course.known_last}:"
                " waiting for it to catch up",
                alone=True,
            )
        )

    async def _open_offline(self, course: Course, plan: Plan, child: Child) -> None:
        last, samples = max(course.known_last, -1), course.flight.samples
        for folder, first in course.segments:
            try:
                found = await child.ask(Inspect(folder), self._limits.command_timeout)
            except ChildFailed as failed:
                raise Blocked(Problem(f"the W&B run folder {folder} cannot be read: {failed}", alone=True)) from failed
            assert isinstance(found, Found)
            last, samples = max(last, found.last_step), first + found.samples
            landed = course.flight.land(found.last_step) + course.flight.land_samples(samples, first)
            self.delivered.add(course.key, landed)
        try:
            opened = await self._open(
                Open(
                    *(course.handle, _identity(course, plan), _config(course, plan), None, secrets.token_hex(20)),
                    folder=plan.folder,
                ),
                child,
            )
        except ChildFailed as failed:
            text = f"the W&B SDK cannot open the run {course.key}: {failed}"
            raise Blocked(Problem(text, alone=True)) from failed
        course.folder = opened.folder
        course.flight.restart(last, samples)
        course.flight.segment = (opened.folder, samples)
        course.segments = []

    async def _open(self, command: Open, child: Child) -> Opened:
        opened = await child.ask(command, self._limits.init_timeout + self._limits.command_timeout)
        assert isinstance(opened, Opened)
        return opened

    async def close(self, course: Course, child: Child, exit_code: int | None = None) -> None:
        """Take the run out of the child; W&B is told of its end only when there is an exit code, or was one. Raises
        ChildFailed when it took too long or was not acknowledged, and ChildLost: then the child must be ended.
        """
        code = exit_code if exit_code is not None else course.exit_code
        feed = course.feed
        if feed is not None:
            feed.goes_on = code is None
        timeout = self._options.finish_timeout + self._limits.command_timeout
        await child.ask(Close(course.handle, code or 0), timeout)
        if feed is not None and self.relay is not None:
            await self.relay.dismiss(feed)
            self.collect(course)
            if code is not None and not feed.completed:
                raise ChildFailed(feed.problem.text if feed.problem else f"the end of run {course.key} was not taken")
        elif feed is None:
            self.delivered.add(course.key, course.land_all())
        course.known_last = max(course.known_last, course.settled)
        course.forget()

    async def close_idle(self, child: Child, now: float) -> None:
        """Close what had nothing for long. Raises as `close` does."""
        for course in self.opened:
            patience = self._limits.idle_close if course.exit_code is None else self._limits.linger
            if not course.flight and now - course.used > patience:
                await self.close(course, child)
        self._forget()

    async def lose(self) -> None:
        """The child is gone or must go: end it, and wandb-core with it."""
        child, self.child = self.child, None
        if child is not None:
            await child.kill()
        held = [course for course in self.courses.values() if course.opened or course.feed is not None]
        if self.relay is not None:
            await asyncio.gather(*(self.relay.dismiss(one.feed) for one in held if one.feed is not None))
        for course in held:
            self.collect(course)
            course.known_last = max(course.known_last, course.settled)
            course.forget()


def _config(course: Course, plan: Plan) -> dict[str, Any]:
    """The config that is known when the run is opened: it goes with the first request, not seconds later."""
    found: dict[str, Any] = {}
    for item in plan.items:
        if isinstance(item, Config) and not item.op.remove:
            found.update(course.may_set(item.op, item.primary).set)
    return found


def _identity(course: Course, plan: Plan) -> Identity:
    """How the run introduces itself: only the first time with what may since have been changed at W&B."""
    if not course.introduced:
        return plan.identity
    return msgspec.structs.replace(plan.identity, name=None, notes=None, tags=())


def _know_keys(course: Course, opened: Opened) -> None:
    """Keys that the run has from before: whoever set them is taken to have spoken for it."""
    for name in opened.config:
        course.owners.setdefault(name, True)
