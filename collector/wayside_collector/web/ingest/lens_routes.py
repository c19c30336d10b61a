"""Primus Lens's four routes to AMD's exporter, with its envelope. 200 alone means stored: whatever else is answered,
the exporter throws the data away, and does not wait longer than 5 s.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from ..body import BODY, BadBody
from ..roles import Role, Route
from .lens import LensRuns, NoIdentity, Taken
from .lens_form import Malformed, read_body, read_detection, read_logs, read_metrics
from .pacing import BYTES, paced
from .refusing import refusing
from .routes import MAX_BODY, PREFIXES, caller

_SAID = {
    "metrics": "metrics reported successfully",
    "logs": "training data reported successfully",
    "detection": "detection reported successfully",
}

Part = Callable[[web.Request, Any], Awaitable[dict[str, Any]]]


def lens_routes(runs: LensRuns) -> list[Route]:
    async def metrics(request: web.Request, value: Any) -> dict[str, Any]:
        return _told("metrics", await runs.rows(await paced(_is_long(request), read_metrics, value), caller(request)))

    async def logs(request: web.Request, value: Any) -> dict[str, Any]:
        return _told("logs", await runs.rows(await paced(_is_long(request), read_logs, value), caller(request)))

    async def detection(request: web.Request, value: Any) -> dict[str, Any]:
        await runs.detection(read_detection(value), caller(request))
        return {"message": _SAID["detection"], "workloads_count": 1, "success_count": 1}

    parts: dict[str, Part] = {"detection": detection, "metrics": metrics, "logs": logs}

    async def batch(request: web.Request, value: Any) -> dict[str, Any]:
        results: dict[str, Any] = {}
        for name, part in parts.items():
            if value.get(name) is not None:
                found = await _one(part, request, value[name])
                ok = found.status == 200
                results[name] = {"success": True, **found.data} if ok else {"success": False, "error": found.message}
        return {"success": True, "results": results}

    return [
        Route("POST", f"{prefix}/wandb/{name}", _handler(part), Role.WRITER, MAX_BODY, scoped=True)
        for prefix in PREFIXES
        for name, part in {**parts, "batch": batch}.items()
    ]


class _Found:
    """What is answered: status and message, or 200 and data."""

    def __init__(self, status: int, message: str, data: Any = None, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.message = message
        self.data = data
        self.headers = headers

    def response(self) -> web.Response:
        meta = {"code": 2000 if self.status == 200 else self.status, "message": self.message}
        body = {"meta": meta, "data": self.data, "tracing": None}
        return web.json_response(body, status=self.status, headers=self.headers)


def _handler(part: Part) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            value = await paced(_is_long(request), read_body, request[BODY])
        except Malformed as problem:
            return _malformed(problem).response()
        return (await _one(part, request, value)).response()

    return answer


def _is_long(request: web.Request) -> bool:
    return len(request[BODY]) > BYTES


async def _one(part: Part, request: web.Request, value: Any) -> _Found:
    try:
        with refusing():
            return _Found(200, "OK", await part(request, value))
    except Malformed as problem:
        return _malformed(problem)
    except NoIdentity:
        return _Found(400, "either workload_uid or pod_name is required")
    except BadBody as problem:
        return _Found(problem.status, str(problem), headers=problem.headers)


def _malformed(problem: Malformed) -> _Found:
    return _Found(400, f"invalid request format: {problem}")


def _told(kind: str, taken: Taken) -> dict[str, Any]:
    told: dict[str, Any] = {"message": _SAID[kind], "count": taken.accepted, "workloads_count": 1, "success_count": 1}
    if taken.refused:
        told |= {"refused": taken.refused, "problems": taken.problems}
    return told
