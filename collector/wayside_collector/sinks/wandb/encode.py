"""A parcel as W&B's runs see it: for each run the lines, samples and changes it is to be given, in order. Pure.

Texts of a `log()` call join the line of its step when both are in the part, and are a line of their own otherwise.
Ranks that do not speak for their run have their rows' names begin with `rank3/`, may fill gaps of its config, and do
not finish it. Kinds of event that W&B has no place for ask for nothing: they count as delivered.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wayside import row as kinds
from wayside.row import Event, Row

from ...session import Session
from ..base import Parcel, Part, Ref, Step
from .asked import folder_for, is_offline, leaves_out
from .flight import Line, Medium, RunKey
from .lines import IN_LINES, Texts, Upload, named, strings, texts_of
from .names import identity, metric_name, rank_prefix, run_key, sound
from .options import WandbOptions
from .plain import about, changes, plain
from .protocol import AlertOp, ConfigOp, Identity, MetricOp, SummaryOp
from .system import wandb_sample

MAX_LINE = 10_000_000  #: bytes of a history line; the SDK leaves lines above 10,383,360 out without an error
MAX_TITLE = 63  #: characters of an alert's title; W&B asks for less than 64
_NUMBER = 25  # bytes of the longest float in JSON
_SURELY_SHORT = 5000  # points; with names up to 1,024 bytes they cannot reach MAX_LINE
_METRIC = {"name": str, "step_metric": str, "step_sync": bool, "hidden": bool, "summary": str, "overwrite": bool}
_SAMPLES_LABEL = str.maketrans("/ ", "--")


class Sample(NamedTuple):
    """A row of system metrics under W&B's names; time in Unix seconds."""

    ref: Ref
    time: float
    values: dict[str, float]


class Config(NamedTuple):
    """A change of the config; whether by a session that speaks for the run."""

    ref: Ref
    op: ConfigOp
    primary: bool


class Told(NamedTuple):
    """Another change of the run, and when it happened. wait: seconds for which an alert of this title is not sent
    again.
    """

    ref: Ref
    op: SummaryOp | AlertOp | MetricOp
    time: float
    wait: float = 0.0


class Finish(NamedTuple):
    ref: Ref
    exit_code: int
    time: float


Item = Line | Sample | Config | Told | Upload


@dataclass
class Plan:
    """What one run is to be given. identity: how it introduces itself, should it be opened. started: Unix time of the
    newest session that has something in it. folder: where an offline folder is wanted, other than in the sink's own.
    """

    key: RunKey
    identity: Identity
    primary: bool
    items: list[Item] = field(default_factory=list)
    finish: Finish | None = None
    started: float = 0.0
    folder: str | None = None

    def refs(self) -> Iterator[Ref]:
        """What its items are made of."""
        for item in self.items:
            if isinstance(item, Line):
                yield from item.refs
            else:
                yield item.ref


class Encoded(NamedTuple):
    """plans: by run. needs: the runs that a ref must reach; one that is not in it needs none. refused: refs that W&B
    will never take, and why.
    """

    plans: dict[RunKey, Plan]
    needs: dict[Ref, list[RunKey]]
    refused: dict[Ref, str]


def encode(parcel: Parcel, options: WandbOptions, count: Callable[[str, int], None]) -> Encoded:
    """count: adds to a counter: `unsupported` for events without a place at W&B, `cut` for fields left out."""
    encoder = _Encoder(options, count)
    for part in parcel.parts:
        if part.session.kind == "system":
            encoder.system(part)
        elif leaves_out(part.session, options) is None:
            encoder.training(part)
    return Encoded(encoder.plans, encoder.needs, encoder.refused)


class _Encoder:
    def __init__(self, options: WandbOptions, count: Callable[[str, int], None]) -> None:
        self._options = options
        self._count = count
        self.plans: dict[RunKey, Plan] = {}
        self.needs: dict[Ref, list[RunKey]] = {}
        self.refused: dict[Ref, str] = {}

    def system(self, part: Part) -> None:
        """Each row, for each open run."""
        if self._options.system is False:
            return
        rows = [record for record in part.records if isinstance(record, Row) and record.names]
        runs = [session for session in part.open_runs if leaves_out(session, self._options) is None]
        for session in runs if rows else []:
            plan = self._plan(session, False, {})
            label = _label(session, part.session)
            for row in rows:
                self._add(plan, Sample((part.session.id, row.seq), row.time, wandb_sample(row.metrics, label)))

    def training(self, part: Part) -> None:
        about = next((r.data for r in part.records if isinstance(r, Event) and r.kind == kinds.ABOUT), {})
        plan = self._plan(part.session, part.primary, about)
        if plan.finish is not None and part.session.started > plan.finish.time and part.primary:
            self.needs.pop(plan.finish.ref, None)  # the job began anew at once: the run goes on
            plan.finish = None
        prefix = rank_prefix(part.session, part.primary)
        texts = texts_of(part.records)
        for record in part.records:
            if not isinstance(record, Event):
                self._row(plan, part.session.id, record, texts, prefix)
            elif record.kind not in IN_LINES:
                self._event(plan, part, record)
            elif record.seq not in texts.joined:
                self._alone(plan, part.session.id, record, prefix)

    def _plan(self, session: Session, primary: bool, about: dict[str, Any]) -> Plan:
        key = run_key(session.run, self._options, is_offline(session, self._options))
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plans[key] = Plan(key, identity(key, session, self._options, about), primary)
        elif primary and not plan.primary:
            plan.identity, plan.primary = identity(key, session, self._options, about), True
        if key.offline and plan.folder is None:
            plan.folder = folder_for(session, self._options)
        plan.started = max(plan.started, session.started)
        return plan

    def _add(self, plan: Plan, item: Item) -> None:
        for ref in item.refs if isinstance(item, Line) else (item.ref,):
            self.needs.setdefault(ref, []).append(plan.key)
        plan.items.append(item)

    def _row(self, plan: Plan, session: str, record: Row | Step, texts: "Texts", prefix: str) -> None:
        values: dict[str, Any] = named(record.metrics, prefix)
        seqs = record.seqs if isinstance(record, Step) else (record.seq,)
        media: dict[str, tuple[Medium, ...]] = {}
        for event in texts.by_step.pop(record.step, ()):
            values.update(strings(event, prefix))
            self._gather(media, (session, event.seq), event, prefix)
            seqs += (event.seq,)
        refs = tuple((session, seq) for seq in seqs)
        late = isinstance(record, Step) and record.late
        self._line(plan, Line(refs, record.step, record.time, values, media=media, late=late))

    def _alone(self, plan: Plan, session: str, event: Event, prefix: str) -> None:
        """What has no row in the part: a line with what else of its step came right before it."""
        ref, last = (session, event.seq), plan.items[-1] if plan.items else None
        values, media = strings(event, prefix), dict[str, tuple[Medium, ...]]()
        joins = isinstance(last, Line) and last.text and event.step is not None and last.step == event.step
        if isinstance(last, Line) and joins and last.refs[0][0] == session:
            media.update(last.media)
            self._gather(media, ref, event, prefix)
            plan.items[-1] = last._replace(refs=(*last.refs, ref), values={**last.values, **values}, media=media)
            self.needs.setdefault(ref, []).append(plan.key)
            return
        self._gather(media, ref, event, prefix)
        self._line(plan, Line((ref,), event.step, event.time, values, True, media))

    def _gather(self, media: dict[str, tuple[Medium, ...]], ref: Ref, event: Event, prefix: str) -> None:
        if event.kind != kinds.MEDIA:
            return
        if "lost" in event.data:
            self._count("media_lost", 1)
            return
        name = metric_name(prefix + sound(str(event.data.get("name") or "media")))
        media[name] = (*media.get(name, ()), Medium(ref, event.data))

    def _line(self, plan: Plan, line: Line) -> None:
        if _too_long(line.values):
            reason = f"a row of more than {MAX_LINE} bytes as JSON, the most a line of W&B's history may have"
            self.refused.update(dict.fromkeys(line.refs, reason))
        elif line.values or line.media:
            self._add(plan, line)

    def _event(self, plan: Plan, part: Part, event: Event) -> None:
        ref, data, primary = (part.session.id, event.seq), event.data, part.primary
        match event.kind:
            case kinds.CONFIG:
                self._add(plan, Config(ref, ConfigOp(*changes(data)), primary))
            case kinds.ABOUT if primary:
                self._add(plan, Config(ref, ConfigOp({"wayside": about(data, self._count)}, []), primary))
            case kinds.SUMMARY | kinds.ALERT | kinds.DEFINE_METRIC:
                self._told(plan, part, event)
            case kinds.ARTIFACT | kinds.SAVE:
                self._add(plan, Upload(ref, event.kind, data))
            case kinds.FINISH if primary:
                self._finish(plan, ref, event)
            case kinds.FINISH | kinds.CLIENT | kinds.ABOUT:
                pass
            case _:
                self._count("unsupported", 1)

    def _told(self, plan: Plan, part: Part, event: Event) -> None:
        ref, data, prefix = (part.session.id, event.seq), event.data, rank_prefix(part.session, part.primary)
        if event.kind == kinds.SUMMARY:
            told, removed = changes(data)
            op = SummaryOp(named(told, prefix), [metric_name(prefix + name) for name in removed])
            self._add(plan, Told(ref, op, event.time))
        elif event.kind == kinds.ALERT:
            self._add(plan, Told(ref, _alert(data), event.time, _seconds(data.get("wait"))))
        elif part.primary and isinstance(data.get("name"), str) and data["name"]:
            arguments = {k: plain(v) for k, v in data.items() if isinstance(v, _METRIC.get(k, ()))}
            self._add(plan, Told(ref, MetricOp(arguments), event.time))

    def _finish(self, plan: Plan, ref: Ref, event: Event) -> None:
        code = event.data.get("exit_code")
        if plan.finish is not None:
            self.needs.pop(plan.finish.ref, None)
        plan.finish = Finish(ref, code if isinstance(code, int) else 0, event.time)
        self.needs[ref] = [plan.key]


def _alert(data: Mapping[str, Any]) -> AlertOp:
    level = data.get("level")
    title = sound(str(data.get("title") or "alert"))[:MAX_TITLE]
    return AlertOp(title, sound(str(data.get("text") or "")), level if level in ("INFO", "WARN", "ERROR") else "INFO")


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0


def _label(run: Session, sampler: Session) -> str | None:
    """What tells the samples of a further node of the run from the first one's."""
    if not run.node_rank:
        return None
    return (sampler.pod.name or sampler.host or f"node{run.node_rank}").translate(_SAMPLES_LABEL)


def _too_long(values: Mapping[str, Any]) -> bool:
    if len(values) < _SURELY_SHORT and not any(isinstance(value, str) for value in values.values()):
        return False
    text = sum(len(value) for value in values.values() if isinstance(value, str))
    return 6 * text + sum(len(name.encode()) for name in values) + _NUMBER * len(values) > MAX_LINE
