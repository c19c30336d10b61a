"""The endpoints of Primus Lens to which AMD's wandb exporter sends, so that an unchanged one can be pointed here.

What it sends is a mirror of a wandb run that its own SDK uploads: so says the session's `origin`, and the W&B sink
leaves it out. A detection is sent once by each process at its beginning: it begins a session, and ends the one
before it. Nothing is ever sent again by the exporter, nor does it say that it is done: its sessions end by silence.
"""

import time
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from wayside import row, wire
from wayside.masking import mask_values

from ...session import in_namespace
from ...sources.posted import Mark, PostedSessions
from ...sources.scribe import Scribe
from .lens_form import Detection, Entries, Entry, Malformed, Sender
from .lens_steps import Steps
from .pacing import ROWS, paced
from .rows import MAX_TOLD
from .runs import Caller

KIND = "lens"  #: the first text of a mark of such sessions


class NoIdentity(ValueError):
    """Neither workload nor pod is named."""


class Taken(NamedTuple):
    """What became of a request."""

    accepted: int
    refused: int
    problems: list[str]


class LensRuns:
    """The runs of AMD's exporters."""

    def __init__(self, posted: PostedSessions) -> None:
        self._posted = posted
        self._steps: WeakKeyDictionary[Scribe, Steps] = WeakKeyDictionary()

    async def rows(self, entries: Entries, caller: Caller) -> Taken:
        """They are on disk when this returns. Raises NoIdentity, and what `PostedSessions.writing` does."""
        record = _record(entries.sender, caller)
        if not entries.rows:  # how it is asked whether anybody is here
            return Taken(0, entries.refused, entries.problems)
        async with self._posted.writing(_mark(record, entries.sender), record) as scribe:
            steps = self._steps.get(scribe)
            if steps is None:
                steps = self._steps[scribe] = Steps(scribe.next_seq if scribe.inlet.known.schemas else 0)
            points, problems = await paced(len(entries.rows) > ROWS, _write, scribe, steps, entries.rows)
            await scribe.store()
        refused = entries.refused + len(problems)
        self._posted.count(refused=refused)
        return Taken(points, refused, [*entries.problems, *problems][:MAX_TOLD])

    async def detection(self, found: Detection, caller: Caller) -> None:
        """A process begins. Raises as `rows` does, and Malformed."""
        record = _record(found.sender, caller)
        said = {"name": found.name, "project": found.project, "tags": list(found.tags)}
        record["run"] |= {key: value for key, value in said.items() if value}
        if found.namespace:
            record["pod"]["namespace"] = found.namespace
        mark = _mark(record, found.sender)
        await self._posted.replace(mark)
        async with self._posted.writing(mark, record) as scribe:
            now = time.time()
            try:
                if found.config:
                    scribe.event(now, None, row.CONFIG, {"set": mask_values(found.config), "remove": []})
                scribe.event(now, None, row.ABOUT, mask_values(_about(found.about)))
                scribe.event(now, None, row.DETECTION, mask_values(_detected(found)))
            except (wire.WireError, RecursionError) as problem:
                raise Malformed(str(problem)) from None
            await scribe.store()


def _write(scribe: Scribe, steps: Steps, rows: list[Entry]) -> tuple[int, list[str]]:
    """How many points were written, and what is wrong with the others."""
    points = 0
    problems: list[str] = []
    for entry in rows:
        at = entry.time or time.time()
        step, auto = steps.of(entry.step, entry.metrics or entry.texts)
        try:
            if entry.metrics:
                scribe.row(at, step, entry.metrics, auto_step=auto)
            if entry.texts:
                scribe.event(at, step, row.TEXT, {"values": entry.texts})
            points += len(entry.metrics) + len(entry.texts)
        except wire.WireError as problem:
            problems.append(str(problem))
    return points, problems


def _record(sender: Sender, caller: Caller) -> dict[str, Any]:
    """A session's record; raises NoIdentity."""
    if not sender.workload and not sender.pod:
        raise NoIdentity
    pod = {"name": sender.pod, "uid": sender.pod_uid}
    record = {
        "run": {"id": sender.run or sender.workload or sender.pod},
        "workload": sender.workload or None,
        "pod": {key: value for key, value in pod.items() if value},
        "host": sender.pod or caller.host,
        "started": time.time(),
        "origin": "wandb",
    }
    return in_namespace(record, caller.namespace)


def _mark(record: dict[str, Any], sender: Sender) -> Mark:
    return KIND, record["run"]["id"], sender.workload, sender.pod, sender.pod_uid


def _about(evidence: dict[str, Any]) -> dict[str, Any]:
    """What the exporter found out of the program, under the names of our own client."""
    hints, software, build, system = (
        found if isinstance(found := evidence.get(name), dict) else {}
        for name in ("hints", "software", "build", "system")
    )
    told = {
        "frameworks": hints.get("possible_frameworks"),
        "packages": software.get("packages"),
        "python": str(system.get("python_version", "")).partition(" ")[0],
        "git": {key: build[f"git_{key}"] for key in ("commit", "branch") if build.get(f"git_{key}")},
    }
    return {key: value for key, value in told.items() if value}


def _detected(found: Detection) -> dict[str, Any]:
    """The same of the framework, and all of it as it came, as our own client tells it."""
    hints = found.about.get("hints")
    hints = hints if isinstance(hints, dict) else {}
    bases, names = (_texts(hints.get(f"{layer}_frameworks")) for layer in ("base", "wrapper"))
    told = {"id": found.sender.run, "name": found.name, "project": found.project, "tags": list(found.tags)}
    evidence = {key: value for key, value in found.about.items() if key != "hints"}
    return {
        "framework": next(iter([*names, *bases]), None),
        "base_framework": next(iter(bases), None),
        "confidence": hints.get("confidence"),
        "evidence": {"wandb": {**told, "config": found.config}, **evidence},
        "hints": hints,
    }


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
