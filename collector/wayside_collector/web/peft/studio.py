"""What PEFT Studio's W&B service does: a job is a run of ours, begun and finished here, and delivered to every sink.

The run's id is the job's, so its address at W&B is known before it is there, and comparing links to real runs. The
settings live in the spool, so that they outlast the collector; an API key lives in memory alone.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from wayside import row

from ...registry import Known, Registry
from ...session import Run, Session
from ...store import Reader, StoreError
from ...store.answers import Comparison
from ...store.reader import NotFound
from ..api.readers import Unavailable
from ..ingest.rows import Unfit
from ..ingest.runs import Caller, NewRun, Runs
from .bodies import Configure, Settings, StartRun

LAUNCHER = "peft-studio"  #: what sessions of jobs begun here are known by
MOST_COMPARED = 5


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the service needs of the collector. page: where a run is to be seen at W&B, None where that is not known.
    available: whether runs go to W&B at all. hand_over: gives the W&B sink this API key. ask: the store. keep, kept:
    the settings as text; they are on disk when `keep` returns, and SpoolError says that they are not. sinks: name to
    what it has waiting, and its trouble.
    """

    registry: Registry
    page: Callable[[Run], str | None]
    available: Callable[[], bool]
    hand_over: Callable[[str], Awaitable[None]]
    ask: Callable[[Callable[[Reader], Comparison]], Awaitable[Comparison]]
    keep: Callable[[bytes], Awaitable[None]]
    kept: Callable[[], bytes | None]
    sinks: Callable[[], Mapping[str, Any]]


class Studio:
    """One service. `origin` in its methods: the collector's own address, as the caller knows it."""

    def __init__(self, runs: Runs, around: Surroundings) -> None:
        self._runs = runs
        self._around = around
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            kept = self._around.kept()
            try:
                self._settings = msgspec.json.decode(kept, type=Settings) if kept else Settings()
            except msgspec.MsgspecError:  # damaged on disk: what it was can be said again
                self._settings = Settings()
        return self._settings

    async def configure(self, asked: Configure) -> dict[str, Any]:
        """Runs begun from now on are as asked; those that are open go on as they are. Raises Unfit, and SpoolError
        where nothing can be kept: then nothing has changed.
        """
        key = (asked.api_key or "").strip()
        if key and (len(key) < 8 or not key.isprintable() or " " in key):
            raise Unfit(422, "api_key: one line of 8 characters and more, without blanks")
        await self._around.keep(msgspec.json.encode(asked.settings))
        self._settings = asked.settings
        available = self._around.available()
        if key and available:
            await self._around.hand_over(key)
        message = "W&B integration configured" if asked.enabled else "W&B integration disabled: no run is begun"
        if not available:
            message += (
                "; no W&B sink is configured, so runs go to the other sinks alone: add `sinks: {wandb: {}}` "
                "to the collector's configuration"
            )
        return {
            "success": True,
            "enabled": asked.enabled,
            "available": available,
            "project_name": asked.project_name,
            "message": message,
        }

    def status(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "enabled": settings.enabled,
            "available": self._around.available(),
            "project_name": settings.project_name,
            "entity": settings.entity,
            "active_runs": [one.run.id for one in self._open()],
            "sinks": dict(self._around.sinks()),
        }

    async def start(self, asked: StartRun, caller: Caller, origin: str) -> dict[str, Any]:
        """Raises Unfit, and what `PostedSessions.writing` does."""
        settings = self.settings
        if not settings.enabled:
            raise Unfit(409, "the W&B integration is disabled: POST /api/wandb/configure with `enabled: true`")
        facts = {name: getattr(asked, name) for name in ("job_id", "model_name", "dataset_name", "use_case")}
        if asked.job_id in [one.run.id for one in self._open()]:
            return self._started(asked.job_id, "the run goes on already", origin)
        tags = (*settings.tags, asked.use_case, asked.model_name, f"job_{asked.job_id[:8]}")
        new = NewRun(
            id=asked.job_id,
            name=asked.run_name or f"{asked.model_name}_{asked.use_case}_{asked.job_id[:8]}"[-128:],
            project=settings.project_name,
            entity=settings.entity,
            tags=tuple(dict.fromkeys(tag[:64] for tag in tags)),
            notes=settings.notes,
            config={**facts, **asked.config},
        )
        caller = msgspec.structs.replace(caller, launcher=LAUNCHER)
        await self._runs.create(new, caller)
        await self._runs.tell(asked.job_id, row.SUMMARY, {"set": facts, "remove": []}, caller)
        return self._started(asked.job_id, "W&B run started", origin)

    def _started(self, job: str, message: str, origin: str) -> dict[str, Any]:
        return {"success": True, **self.run_url(job, origin), "message": message}

    def run_url(self, job: str, origin: str) -> dict[str, Any]:
        """At W&B, or where that is not known our own page. Raises Unfit for a job nobody knows."""
        return {"job_id": job, "run_url": self._around.page(self._known(job).session.run) or f"{origin}/runs/{job}"}

    async def finish(self, job: str, exit_code: int, summary: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """Raises Unfit, and what `PostedSessions.writing` does."""
        known = self._known(job)
        if known.ended is not None and known.finish is None:  # and not by our word, for silence
            return {"success": True, "job_id": job, "message": "the run was finished before"}
        caller = msgspec.structs.replace(caller, launcher=LAUNCHER)
        await self._runs.tell(job, row.SUMMARY, {"set": summary, "remove": []}, caller)
        await self._runs.finish(job, exit_code, caller)
        return {"success": True, "job_id": job, "message": "W&B run finished"}

    async def compare(self, jobs: list[str], origin: str) -> dict[str, Any]:
        """Where the runs stand beside each other, at W&B and here, and what the store says of them. Raises Unfit."""
        if not 2 <= len(jobs) <= MOST_COMPARED or len(set(jobs)) != len(jobs):
            raise Unfit(400, f"2 to {MOST_COMPARED} different job_ids are compared, with commas between them")
        runs = [self._known(job).session.run for job in jobs]
        local = f"{origin}/compare?runs={','.join(jobs)}"
        told: dict[str, Any] = {"job_ids": jobs, "comparison_url": self._table(runs) or local, "local_url": local}
        try:
            told["comparison"] = msgspec.to_builtins(await self._around.ask(lambda reader: reader.compare(jobs)))
        except NotFound as problem:
            told["comparison"], told["message"] = None, f"{problem} in the store yet: ask again in a moment"
        except (Unavailable, StoreError) as problem:
            told["comparison"], told["message"] = None, str(problem)
        return told

    def _table(self, runs: list[Run]) -> str | None:
        """W&B's table of runs of one project; None where they are not all in one, or it is not known in which."""
        pages = [(self._around.page(run) or "").rpartition("/runs/") for run in runs]
        if not pages[0][0] or len({site for site, _, _ in pages}) > 1:
            return None
        return f"{pages[0][0]}/table?runSets={','.join(id for _, _, id in pages)}"

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def _open(self) -> list[Session]:
        alive = (known.session for known in self._around.registry.alive())
        return [one for one in alive if one.launcher == LAUNCHER and one.via is None]

    def _known(self, job: str) -> Known:
        """The job's latest session. Raises Unfit."""
        for known in reversed(list(self._around.registry.all())):
            if known.session.kind == "run" and known.session.run.id == job:
                return known
        raise Unfit(404, f"no run of job {job!r:.80} is known")
