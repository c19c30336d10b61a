"""What is to be sent of a parcel, to whom, and what needs no request. Pure.

Steps become pushes, in order, under the header of their session; events of a run are read for its last step; samples
wait for the next step or are left out. Rows that Lens can never take are refused here, without asking it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from wayside.row import CONFIG, FINISH, Event, Row

from ...session import Session
from ..base import Parcel, Part, Ref, Step
from ..carrying import BESIDE
from ..primus_samples import primus_sample
from .encode import MIN_INT32, Header, Push, identify, is_time, lens_values, prefix
from .kept import Kept, put_sample, take_config, take_sample, target
from .options import MAX_INT32, LensOptions
from .reports import put_hardware, put_report

TARGET = "target_iteration"  # Lens draws a run's progress from it
TFLOPS = "tflops"  # Lens's page of GPU metrics fails on a row without it

NO_STEP = "the row has no step, and Lens files everything under one: log it with a step"
OUT_OF_RANGE = f"Lens keeps steps from {MIN_INT32} to {MAX_INT32}: the step is out of that range"


@dataclass(slots=True)
class Plan:
    """pushes: by header, in order. steps: the most of them in one request, likewise. delivered: what is done without a
    request. refused: by reason. counts: what is to be counted when the send ends. runs: ids of the runs it is of.
    """

    pushes: dict[Header, list[Push]] = field(default_factory=dict)
    steps: dict[Header, int] = field(default_factory=dict)
    delivered: set[Ref] = field(default_factory=set)
    refused: dict[str, set[Ref]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    runs: set[str] = field(default_factory=set)


def leaves_out(session: Session, options: LensOptions) -> str | None:
    """See `base.Traits`: the run's user wants no Lens."""
    return None if session.primus.reporting else "api_reporting"


def make_plan(parcel: Parcel, options: LensOptions, kept: Kept, now: float) -> Plan:
    """Plan one send; changes `kept`. `now` is Unix time in seconds."""
    plan = Plan()
    for part in parcel.parts:
        if part.session.kind == "system":
            _plan_samples(plan, part, options, kept)
        else:
            _plan_run(plan, part, options, kept, now)
    return plan


def _plan_samples(plan: Plan, part: Part, options: LensOptions, kept: Kept) -> None:
    runs = [session for session in part.open_runs if leaves_out(session, options) is None]
    for record in part.records:
        plan.delivered |= refs(part, record)
        if isinstance(record, Event | Row):
            put_hardware(kept, part.session, record)
        if isinstance(record, Event):
            continue
        points = len(record.metrics)
        if options.system and runs:
            values, unnamed = primus_sample(record.metrics)
            plan.counts["system_left_out"] += unnamed
            plan.counts["system_superseded"] += put_sample(kept, runs, values) if values else 0
        else:
            plan.counts["system_left_out"] += points


def _plan_run(plan: Plan, part: Part, options: LensOptions, kept: Kept, now: float) -> None:
    plan.runs.add(part.session.run.id)
    header = identify(part.session, options)
    plan.steps[header] = _steps_per_request(part.session, options)
    before = prefix(part.session, options)
    for record in part.records:
        rows = refs(part, record)
        if isinstance(record, Event):
            put_report(kept, part, record, header, now)
            _read_event(part, record, kept)
            plan.delivered |= rows
            if record.kind in BESIDE:
                plan.counts["media_left_out"] += 1
        elif record.step is None:
            plan.refused.setdefault(NO_STEP, set()).update(rows)
        elif not MIN_INT32 <= record.step <= MAX_INT32:
            plan.refused.setdefault(OUT_OF_RANGE, set()).update(rows)
        else:
            push = _make_push(part, record, before, now)
            if push.values:
                push = _add_ours(part, record, push, options, kept)
                plan.pushes.setdefault(header, []).append(push)
            else:
                plan.delivered |= rows
                plan.counts["nonfinite"] += push.nonfinite


def _steps_per_request(session: Session, options: LensOptions) -> int:
    """As many as the run's user wants, within what the operator does."""
    asked = session.primus.batch_size or options.steps_per_request
    return max(1, min(asked, options.steps_per_request))


def _read_event(part: Part, event: Event, kept: Kept) -> None:
    if event.kind == CONFIG:
        take_config(kept, part.session.run.id, event.data)
    elif event.kind == FINISH and part.primary:
        kept.forget(part.session.run.id)


def _make_push(part: Part, record: Row | Step, before: str, now: float) -> Push:
    time = record.first_time if isinstance(record, Step) else record.time
    untimed = not is_time(time)
    values, nonfinite, collided = lens_values(_points(record), before)
    rows = frozenset(refs(part, record))
    return Push(rows, record.step or 0, now if untimed else time, values, None, nonfinite, collided, untimed)


def _points(record: Row | Step) -> Iterator[tuple[str, float]]:
    yield from record.metrics.items() if isinstance(record, Step) else zip(record.names, record.values, strict=True)


def _add_ours(part: Part, record: Row | Step, push: Push, options: LensOptions, kept: Kept) -> Push:
    """The push with what the run did not log itself: only where the primary session speaks first of a step, since
    Lens merges, and a second push would overwrite the first one's values.
    """
    if not part.primary or (isinstance(record, Step) and record.late):
        return push
    values = dict(push.values)
    took, sample = take_sample(kept, part.session)
    for name, value in sample.items():
        values.setdefault(name, value)
    last = options.target_iteration or target(kept, part.session.run.id)
    if last is not None:
        values[TARGET] = float(last)
    if options.ensure_tflops and TFLOPS not in values:
        # Under a prefix or in a folder it is the run's own number all the same.
        values[TFLOPS] = next((value for name, value in push.values.items() if _is_tflops(name)), 0.0)
    return push._replace(values=values, took=took)


def _is_tflops(name: str) -> bool:
    return name.rpartition("/")[2].lower() == TFLOPS


def refs(part: Part, record: Row | Step | Event) -> set[Ref]:
    """What names this record's rows."""
    seqs = record.seqs if isinstance(record, Step) else (record.seq,)
    return {(part.session.id, seq) for seq in seqs}
