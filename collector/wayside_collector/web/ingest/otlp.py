"""Metrics that come by OTLP: a session for each resource, which ends by silence."""

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from wayside import row, wire
from wayside.masking import mask_values

from ...session import in_namespace
from ...sources.posted import PostedSessions
from ...sources.scribe import Scribe
from .pacing import ROWS, paced
from .rows import MAX_TOLD
from .runs import Caller

if TYPE_CHECKING:  # the form needs a package that may not be there
    from .otlp_form import Found, OtlpRow, Resource

KIND = "otlp"  #: the first text of a mark of such sessions


class Taken(NamedTuple):
    """What became of a request."""

    refused: int
    problems: list[str]


class OtlpRuns:
    """The runs of those who export to us."""

    def __init__(self, posted: PostedSessions) -> None:
        self._posted = posted

    async def take(self, found: list["Found"], caller: Caller) -> Taken:
        """They are on disk when this returns; those that cannot be written are told. Raises what
        `PostedSessions.writing` does, and then a part of them may be stored: the sender sends all again.
        """
        refused = 0
        problems: list[str] = []
        for one in found:
            told = list(one.problems)
            refused += one.refused
            if one.rows:
                lost, why = await self._take_one(one, caller)
                refused += lost
                told += why
            problems += [f"{one.resource.id}: {text}" for text in told]
        self._posted.count(refused=refused)
        return Taken(refused, problems[:MAX_TOLD])

    async def _take_one(self, found: "Found", caller: Caller) -> tuple[int, list[str]]:
        record = in_namespace(_record(found.resource, caller), caller.namespace)
        mark = KIND, record["run"]["id"], found.resource.digest
        is_new = not self._posted.is_open(mark)
        async with self._posted.writing(mark, record) as scribe:
            if is_new:
                config = mask_values({"set": {"resource": found.resource.attributes}, "remove": []})
                scribe.event(time.time(), None, row.CONFIG, config)
            refused, problems = await paced(len(found.rows) > ROWS, _write, scribe, found.rows)
            await scribe.store()
        return refused, problems


def _write(scribe: Scribe, rows: list["OtlpRow"]) -> tuple[int, list[str]]:
    refused = 0
    problems = []
    now = time.time()
    for one in rows:
        try:
            scribe.row(one.time or now, one.step, one.metrics)
        except wire.WireError as problem:
            refused += len(one.metrics)
            problems.append(str(problem))
    return refused, problems


def _record(resource: "Resource", caller: Caller) -> dict[str, Any]:
    told = resource.attributes
    said = {
        "id": resource.id,
        "name": told.get("wayside.run.name") or told.get("service.name") or resource.id,
        "project": told.get("wayside.project") or told.get("service.namespace") or "otlp",
        "group": told.get("wayside.group"),
        "job_type": told.get("wayside.job_type"),
    }
    pod = {
        "name": told.get("k8s.pod.name"),
        "uid": told.get("k8s.pod.uid"),
        "namespace": told.get("k8s.namespace.name"),
        "node": told.get("k8s.node.name"),
    }
    return {
        "run": {key: value for key, value in said.items() if value},
        "rank": _whole(told.get("wayside.rank")),
        "world_size": _whole(told.get("wayside.world_size")),
        "workload": told.get("wayside.workload") or told.get("k8s.job.name") or None,
        "pod": {key: value for key, value in pod.items() if value},
        "host": told.get("host.name") or caller.host,
        "started": time.time(),
        "origin": "http",
    }


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
