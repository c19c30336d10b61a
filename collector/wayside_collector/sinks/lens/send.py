"""The Lens sink: one complete step a push, in order, one request at a time.

Identity: Lens files by workload and step and merges what comes again, so that a parcel sent twice changes no value
(it lengthens the history Lens keeps of a step). A late step is pushed again, holding what was late.

What is not a step, the report of which framework a run uses, goes in a lane of its own (`lane.py`): Lens may take
minutes over it, and steps must not wait for that.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ..base import Changes, Context, Parcel, Ref, Reject, Retry, Traits
from ..http import HttpPeer, shown
from .encode import Header, Push, encode, requests
from .judge import Judgement, judge
from .kept import Kept, give_back
from .lane import ReportLane
from .options import LensOptions
from .plan import Plan, leaves_out, make_plan
from .reports import REPORT

logger = logging.getLogger(__name__)

MAX_BROKEN_OFF = 2  #: requests without an answer in one send: one may be its workload's fault, two are the server's
MAX_UNKNOWN = 1000  #: workloads remembered as unknown to Lens; beyond, the oldest begins its wait anew
REPORT_TIMEOUT = 300.0  #: seconds: Lens asks its advisor up to four times, half a minute each
_REASONS = 3  # reasons one Reject spells out


@dataclass(slots=True)
class Tally:
    """What became of the pushes of one send, so far."""

    done: list[Push] = field(default_factory=list)
    refused: list[tuple[str, list[Push]]] = field(default_factory=list)
    troubles: list[Retry] = field(default_factory=list)
    stopped: bool = False
    split: int = 0
    partial: int = 0


class LensSink:
    """Pushes steps into a Primus Lens. `clock` gives Unix time, `monotonic` time to measure by, both in seconds.

    Counters: `nonfinite` points left out, `collided` points whose acceptable name was taken, `untimed` steps without a
    time Lens can keep, `split` requests taken apart to find a row that is refused, `partial` requests that not every
    workload of the pod took, `system_left_out` and `system_superseded` points of samples, `forgotten` kept values
    given up to a limit; of reports of frameworks `reports`, `reports_refused` and `reports_given_up`. What they count
    of rows and samples is delivered in the books.
    """

    traits: ClassVar[Traits] = Traits(
        unit="step", iterations=True, ranks="primary", max_records=500, leaves_out=leaves_out
    )

    def __init__(
        self,
        options: LensOptions,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._options = options
        self._clock = clock
        self._monotonic = monotonic
        self._peer = HttpPeer(options, environ)
        self._base = options.endpoint.rstrip("/")
        self._unknown: dict[tuple[str, str], float] = {}
        self._state: dict[str, bytes] = {}
        self._context = Context("lens", Path("."))
        self._lane = ReportLane(self._report, self._context.count)

    async def open(self, context: Context) -> None:
        """Read the files the options name; connects nowhere. Raises Retry when one cannot be read."""
        self._context = context
        self._state = dict(context.state)
        await self._peer.open()
        await self._lane.stop()
        self._lane = ReportLane(self._report, context.count)
        self._lane.offer(self._reports())
        self._lane.start()

    async def close(self) -> None:
        await self._lane.stop()
        await self._peer.close()

    async def send(self, parcel: Parcel) -> Changes:
        kept = Kept(self._state)
        for key in [key for key, body in self._lane.settled.items() if kept.get(key) == body]:
            kept.remove(key)
        # In a thread: a wide parcel takes tens of milliseconds, and every other sink shares this loop.
        plan = await asyncio.to_thread(make_plan, parcel, self._options, kept, self._clock())
        tally = Tally()
        for header, pushes in plan.pushes.items():
            await self._push_all(header, pushes, plan.steps[header], tally)
            if tally.stopped:
                break
        return self._end(plan, tally, kept)

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _push_all(self, header: Header, pushes: list[Push], steps: int, tally: Tally) -> None:
        """Push until all are done or something must wait; a request that is refused is halved until one is left."""
        waiting = deque(requests(pushes, steps))
        while waiting:
            batch = waiting.popleft()
            judged = await self._push(header, batch, tally)
            if judged.verdict == "taken":
                self._unknown.pop(header.workload, None)
                tally.done += batch
                tally.partial += judged.partial
            elif judged.verdict == "refused" and len(batch) > 1:
                middle = len(batch) // 2
                waiting.extendleft((batch[middle:], batch[:middle]))
                tally.split += 1
            elif judged.verdict == "refused":
                tally.refused.append((judged.message, batch))
            elif judged.verdict == "unknown" and self._has_waited(header):
                text = f"{judged.message} for {self._options.workload_wait:g} s (option workload_wait)"
                tally.refused.append((text, [*batch, *(push for later in waiting for push in later)]))
                return
            else:
                self._wait(header, judged, tally)
                return

    def _wait(self, header: Header, judged: Judgement, tally: Tally) -> None:
        """This workload must wait, and perhaps every other."""
        tally.troubles.append(Retry(judged.message, not_before=judged.not_before, uncertain=judged.uncertain))
        tally.stopped |= judged.everywhere
        if judged.everywhere:
            self._unknown.clear()  # a Lens that was away has its pods to learn anew
        elif judged.verdict == "again":
            self._unknown.pop(header.workload, None)

    async def _push(self, header: Header, batch: list[Push], tally: Tally) -> Judgement:
        if not header.workload_uid and not header.pod_name:
            text = "a session tells neither its workload nor its pod: set WORKLOAD_UID or the option workload_uid"
            return Judgement("unknown", f"{shown(self._base)}: {text}")
        form = self._options.push
        body = await asyncio.to_thread(encode, form, header, batch, self._clock())
        try:
            return await self._post(f"/wandb/{form}", body)
        except Retry as trouble:
            broken_off = 1 + sum(earlier.uncertain for earlier in tally.troubles)
            everywhere = not trouble.uncertain or broken_off >= MAX_BROKEN_OFF
            return Judgement("again", str(trouble), uncertain=trouble.uncertain, everywhere=everywhere)

    async def _report(self, body: bytes) -> Judgement:
        try:
            return await self._post("/wandb/detection", body, REPORT_TIMEOUT)
        except Retry as trouble:
            return Judgement("again", str(trouble))

    def _reports(self) -> dict[str, bytes]:
        return {key: body for key, body in self._state.items() if key.startswith(REPORT)}

    async def _post(self, path: str, body: bytes, timeout: float | None = None) -> Judgement:
        """Send once, and once more to the other address a Lens may answer at when there is nothing at this one."""
        headers = {"Content-Type": "application/json"}
        answer = await self._peer.post(self._base + path, body, headers, timeout=timeout)
        other = other_base(self._base)
        if answer.status == 404 and other is not None:
            second = await self._peer.post(other + path, body, headers, timeout=timeout)
            if second.status != 404:
                name = self._context.name
                logger.info("sink %s: nothing at %s: from now on %s", name, shown(self._base), shown(other))
                self._base, answer = other, second
        judged = judge(answer, self._base + path, self._clock())
        if answer.status == 404 and other is not None:
            return judged._replace(message=f"{judged.message}; nor is there anything at {shown(other)}")
        return judged

    def _has_waited(self, header: Header) -> bool:
        """Whether Lens has not known this workload for as long as we wait for it."""
        now = self._monotonic()
        since = self._unknown.setdefault(header.workload, now)
        while len(self._unknown) > MAX_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        return now - since >= self._options.workload_wait

    # --- the end of a send -------------------------------------------------------------------------------------------

    def _end(self, plan: Plan, tally: Tally, kept: Kept) -> Changes:
        """Count, take over what is kept, and return or raise. Nothing waits in here: it happens whole or not at all."""
        counts = plan.counts
        done = {id(push) for push in tally.done}
        for push in (push for pushes in plan.pushes.values() for push in pushes):
            if id(push) in done:
                counts.update(nonfinite=push.nonfinite, collided=push.collided, untimed=int(push.untimed))
            elif push.took is not None:
                counts["system_superseded"] += give_back(kept, push.took)
        counts.update(split=tally.split, partial=tally.partial, forgotten=kept.dropped)
        for name, by in counts.items():
            if by:
                self._context.count(name, by)
        for key, value in kept.changes.items():
            if value is None:
                self._state.pop(key, None)
            else:
                self._state[key] = value
        self._lane.forget(self._state)
        self._lane.offer(self._reports())
        if tally.troubles:
            runs = () if tally.stopped else plan.runs
            raise _joined(tally.troubles, plan.delivered | rows_of(tally.done), kept.changes, runs)
        refused = [*tally.refused]
        rows = {row for found in plan.refused.values() for row in found}
        if refused or rows:
            reasons = list(dict.fromkeys((*plan.refused, *(reason for reason, _ in refused))))
            more = f" (and {len(reasons) - _REASONS} more reasons)" if len(reasons) > _REASONS else ""
            rows |= {row for _, pushes in refused for row in rows_of(pushes)}
            raise Reject("; ".join(reasons[:_REASONS]) + more, rows, changes=kept.changes)
        return kept.changes


def rows_of(pushes: Iterable[Push]) -> set[Ref]:
    """The rows these pushes are made of."""
    return {row for push in pushes for row in push.refs}


def other_base(base: str) -> str | None:
    """The other address a Lens may answer at: its documents say `/api/v1`, its releases listen at `/v1`."""
    if base.endswith("/api/v1"):
        return base.removesuffix("/api/v1") + "/v1"
    if base.endswith("/v1"):
        return base.removesuffix("/v1") + "/api/v1"
    return None


def _joined(troubles: list[Retry], delivered: set[Ref], changes: Changes, runs: Iterable[str]) -> Retry:
    """All troubles of one send as one: the first in words, the latest time."""
    times = [trouble.not_before for trouble in troubles if trouble.not_before is not None]
    more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
    return Retry(
        f"{troubles[0]}{more}",
        not_before=max(times, default=None),
        delivered=delivered,
        uncertain=any(trouble.uncertain for trouble in troubles),
        changes=changes,
        runs=runs,
    )
