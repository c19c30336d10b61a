"""A stand-in for the W&B backend, for tests with the real SDK: none of the real one runs here.

It answers what SDK 0.31 was seen to ask: GraphQL for runs, the `file_stream` of history, events and summary, where
lines overwrite from their offset on, and uploads. Kept quirks: `historyTail` holds the last line only, the number of
lines comes from `historyLineCount`, NaN stands bare in the lines, a file_stream body may be empty (a heartbeat), and
a wrong key is a 401. Faults are scripted (`fail`, `drop`, `hang`, `refuse`). An artifact is made, gets its files and
its manifest, and is there when it is committed; one of a digest that is there is answered as COMMITTED. Not modelled:
rate limits, versions of artifacts, how late the real history follows a request.

    with WandbBackend() as backend:      # or start() and stop(); runs in a thread of its own
        … backend.url, backend.key …
        assert [row["_step"] for row in backend.run("r1").rows] == [0, 1, 2]
"""

import asyncio
import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from aiohttp import web
from standins.wandb_artifacts import StandInArtifact
from standins.wandb_runs import HISTORY, Runs, StandInRun, operation_of

MAX_BODY = 64 << 20  # the SDK splits its requests at about 10 MiB


@dataclass
class Fault:
    """What happens to the next `times` requests whose kind is `where`.

    where: "file_stream", "upload", or the name of a GraphQL operation. how: "status" answers it with `body`; "drop"
    breaks the connection off before anything is taken, "drop late" after it was taken; "hang" waits for `release`, then
    goes on, or does what stands behind the comma. run: only requests about this run. lines: only requests that carry
    history lines.
    """

    where: str
    how: Literal["status", "drop", "drop late", "hang", "hang, drop", "hang, drop late"]
    status: int = 500
    body: str = "scripted"
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    run: str | None = None
    lines: bool = False
    release: threading.Event = field(default_factory=threading.Event)
    met: int = 0


class WandbBackend:
    """The server. `url` and `key` are what a sink needs; `runs` what arrived; `requests` every request, in order;
    `keyed` names of uploads that came with the API key.
    """

    def __init__(
        self,
        *,
        key: str = "k" * 40,
        entity: str = "someone",
        prefix: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.key = key
        self.prefix = prefix
        self.tls = tls
        self.url = ""
        self.requests: list[tuple[str, str]] = []
        self.uploads: dict[str, bytes] = {}
        self.keyed: list[str] = []
        self.faults: list[Fault] = []
        self.refused: Callable[[str], bool] | None = None
        self._runs = Runs(entity)
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._runner: web.AppRunner | None = None
        self._port = 0

    # --- life --------------------------------------------------------------------------------------------------------

    def __enter__(self) -> "WandbBackend":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on 127.0.0.1, on a free port; after `away()`, on the same one."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop.run_forever, name="wandb-backend", daemon=True)
            self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        """Close everything; safe twice."""
        if self._thread is None:
            return
        for fault in self.faults:
            fault.release.set()
        self.away()
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_default_executor(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._thread = None

    def away(self) -> None:
        """Stop listening; what arrived stays. `start()` brings it back at the same address."""
        asyncio.run_coroutine_threadsafe(self._unlisten(), self._loop).result(10)

    async def _listen(self) -> None:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post(f"{self.prefix}/graphql", self._graphql)
        app.router.add_post(f"{self.prefix}/files/{{entity}}/{{project}}/{{run}}/file_stream", self._file_stream)
        app.router.add_put(f"{self.prefix}/uploads/{{name:.*}}", self._upload)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self.tls)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self._port}{self.prefix}"

    async def _unlisten(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # --- what arrived ------------------------------------------------------------------------------------------------

    @property
    def runs(self) -> list[StandInRun]:
        return list(self._runs.all.values())

    @property
    def artifacts(self) -> list[StandInArtifact]:
        """Those that are whole, in the order of their commits."""
        return self._runs.artifacts.whole

    def run(self, id: str) -> StandInRun:
        """The only run of this id; raises AssertionError when there is none, or more than one."""
        found = [run for run in self.runs if run.id == id]
        assert len(found) == 1, f"{len(found)} runs with the id {id!r}"
        return found[0]

    def make_run(self, id: str, project: str, rows: list[dict[str, Any]]) -> StandInRun:
        """A run that was there before."""
        self._runs.answer("UpsertBucket", {"name": id, "project": project, "config": "{}"}, self.url)
        run = self.run(id)
        run.write({HISTORY: {"offset": 0, "content": [json.dumps(row) for row in rows]}})
        return run

    def wait_for(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Until `condition` holds; raises AssertionError when it does not within `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s: {self.requests[-20:]}"
            time.sleep(0.01)

    # --- faults ------------------------------------------------------------------------------------------------------

    def fail(self, where: str, status: int = 500, **more: Any) -> Fault:
        """Answer the next `times` requests of this kind with `status` and `headers`."""
        return self._add(Fault(where, "status", status, **more))

    def drop(self, where: str, *, late: bool = False, **more: Any) -> Fault:
        """Break the connection off: before the request is taken, or after it with `late`."""
        return self._add(Fault(where, "drop late" if late else "drop", **more))

    def hang(self, where: str, then: Literal["", ", drop", ", drop late"] = "", **more: Any) -> Fault:
        """Do not answer until `release.set()` of the fault; then go on, or break off before or after taking it."""
        return self._add(Fault(where, f"hang{then}", **more))  # type: ignore[arg-type]

    def refuse(self, line: Callable[[str], bool]) -> None:
        """Answer 400 to every file_stream request that carries a history line for which this is true."""
        self.refused = line

    def heal(self) -> None:
        """No more faults."""
        for fault in self.faults:
            fault.release.set()
        self.faults.clear()
        self.refused = None

    def _add(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault

    async def _before(self, request: web.Request, where: str, run: str, lines: bool) -> Fault | None:
        """Meet the first fault that fits; returns one whose harm comes after the request was taken."""
        for fault in self.faults:
            if fault.where != where or fault.met >= fault.times or fault.run not in (None, run):
                continue
            if fault.lines and not lines:
                continue
            fault.met += 1
            if fault.how == "status":
                raise _Answered(web.Response(status=fault.status, text=fault.body, headers=fault.headers))
            if fault.how == "drop":
                _break_off(request)
            if fault.how.startswith("hang"):
                await asyncio.to_thread(fault.release.wait, 60)
            if fault.how == "hang, drop":
                _break_off(request)
            return fault
        return None

    # --- requests ----------------------------------------------------------------------------------------------------

    def _admit(self, request: web.Request) -> None:
        expected = "Basic " + base64.b64encode(f"api:{self.key}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            raise _Answered(web.json_response({"errors": [{"message": "user is not logged in"}]}, status=401))

    async def _graphql(self, request: web.Request) -> web.Response:
        try:
            self._admit(request)
            body = json.loads(await request.text())
            operation, variables = operation_of(body), body.get("variables") or {}
            run = str(variables.get("name") or variables.get("runName") or "")
            self.requests.append((operation, run))
            fault = await self._before(request, operation, run, False)
        except _Answered as answered:
            return answered.response
        data = self._runs.answer(operation, variables, self.url)
        if fault is not None and fault.how.endswith("drop late"):
            _break_off(request)
        return web.json_response({"data": data})

    async def _file_stream(self, request: web.Request) -> web.Response:
        names = request.match_info
        try:
            self._admit(request)
            body = json.loads(await request.text())
            lines = body.get("files", {}).get(HISTORY, {}).get("content", [])
            self.requests.append(("file_stream", names["run"]))
            fault = await self._before(request, "file_stream", names["run"], bool(lines))
        except _Answered as answered:
            return answered.response
        if self.refused is not None and any(map(self.refused, lines)):
            return web.json_response({"error": "a line cannot be read"}, status=400)
        run = self._runs.find(names["entity"], names["project"], names["run"])
        if run is None:
            return web.json_response({"error": "run not found"}, status=404)
        run.posts += 1
        run.write(body.get("files", {}))
        if body.get("complete"):
            run.exit_code = body.get("exitcode")
        state = "finished" if body.get("complete") else "running"
        if run.states[-1:] != [state]:
            run.states.append(state)
        if fault is not None and fault.how.endswith("drop late"):
            _break_off(request)
        return web.json_response({"exitcode": None, "limits": {}})

    async def _upload(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.requests.append(("upload", name))
        if "Authorization" in request.headers:
            self.keyed.append(name)
        try:
            await self._before(request, "upload", name, False)
        except _Answered as answered:
            return answered.response
        self.uploads[name] = await request.read()
        return web.Response()


class _Answered(Exception):
    """The request has its answer already."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def _break_off(request: web.Request) -> None:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError
