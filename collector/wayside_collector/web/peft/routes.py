"""PEFT Studio's six routes. A refusal is told as FastAPI tells it, `{"detail": …}`, and as `error` beside that.

The key that `configure` takes decides whose account all runs go to: so only this machine's own programs may.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from ..api.encoding import encode
from ..body import BODY, BadBody
from ..ingest.refusing import refusing
from ..ingest.routes import ExitCode, caller, convert
from ..ingest.rows import Unfit, read_object
from ..roles import Role, Route
from .bodies import Configure, StartRun
from .studio import Studio

MAX_BODY = 1 << 20  #: of a request: a job's whole configuration

_PATH = "/api/wandb"

Handler = Callable[[web.Request], Awaitable[Any]]


def peft_routes(studio: Studio) -> list[Route]:
    async def configure(request: web.Request) -> Any:
        return await studio.configure(convert(read_object(request[BODY]), Configure))

    async def status(request: web.Request) -> Any:
        return studio.status()

    async def start(request: web.Request) -> Any:
        asked = convert(read_object(request[BODY]), StartRun)
        return await studio.start(asked, caller(request), _origin(request))

    async def run_url(request: web.Request) -> Any:
        return studio.run_url(request.match_info["job"], _origin(request))

    async def finish(request: web.Request) -> Any:
        code = request.query.get("exit_code", "0")
        try:
            exit_code = msgspec.convert(code, ExitCode, strict=False)
        except msgspec.ValidationError:
            raise Unfit(422, f"exit_code must be a whole number of 32 bits, not {code!r:.40}") from None
        return await studio.finish(request.match_info["job"], exit_code, read_object(request[BODY]), caller(request))

    async def compare(request: web.Request) -> Any:
        jobs = [job.strip() for job in request.query.get("job_ids", "").split(",") if job.strip()]
        return await studio.compare(jobs, _origin(request))

    return [
        Route("POST", f"{_PATH}/configure", _answering(configure), Role.OPERATOR, MAX_BODY),
        Route("GET", f"{_PATH}/status", _answering(status), Role.READER),
        Route("POST", f"{_PATH}/start-run", _answering(start), Role.WRITER, MAX_BODY),
        Route("GET", _PATH + "/run-url/{job}", _answering(run_url), Role.READER),
        Route("POST", _PATH + "/finish-run/{job}", _answering(finish), Role.WRITER, MAX_BODY),
        Route("GET", f"{_PATH}/compare", _answering(compare), Role.READER),
    ]


def _origin(request: web.Request) -> str:
    """Our own address, as the caller knows it."""
    return str(request.url.origin())


def _answering(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            with refusing():
                return web.Response(body=encode(await handler(request)), content_type="application/json")
        except Unfit as problem:
            return _refused(problem.status, str(problem), {})
        except BadBody as problem:
            return _refused(problem.status, str(problem), problem.headers)

    return answer


def _refused(status: int, text: str, headers: dict[str, str]) -> web.Response:
    body = {"success": False, "detail": text, "error": text}
    return web.json_response(body, status=status, headers=headers)
