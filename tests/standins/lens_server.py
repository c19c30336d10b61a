"""A stand-in for the ingest side of Primus Lens (its telemetry processor), for tests: none of the real one runs here.

It keeps the quirks that a client meets, as read in the real server's source: the `/v1` group only (the documented
`/api/v1` is a plain 404), a redirect for a trailing slash, Go's strict decoding of a whole request (bare NaN, a step
with a decimal point, a text for a number: 400), the envelope, a workload_uid believed unseen and a pod looked up in a
cache that is cold at first, rows merged by (workload, 32-bit step) with the old one in `history`, reserved names
overwriting or overwritten, a NUL in a name failing the step, 500 when any step failed though the others are stored,
and `/wandb/batch` answering 200 with a failed part.

What it does beside that stands in `script`, one entry a request: fail, hang, break off before or after taking the
request, answer what it is told. Not modelled: the database, the advisor behind detection, the query side.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from aiohttp import web
from standins.lens_decoding import Malformed, decode, logs, lower, metrics, number, typed


class Reply(NamedTuple):
    """A scripted answer; nothing is stored."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


#: "ok" · "fail": 500, nothing stored · "fail late": 500, all stored · "refuse": breaks off, nothing stored · "drop":
#: stores, then breaks off · "hang": stores, then answers only when `go` is set · "broken": stores, answers no envelope
Behaviour = Literal["ok", "fail", "fail late", "refuse", "drop", "hang", "broken"] | Reply


@dataclass
class Push:
    """One accepted request: its path, its header, and its rows in order, (step, time, values)."""

    path: str
    header: dict[str, Any]
    rows: list[tuple[int, float, dict[str, Any]]]


@dataclass
class Row:
    """A row of the table: `performance` as Lens keeps it, and the time that every query goes by."""

    performance: dict[str, Any]
    created_at: float
    run_id: str
    pod_uid: str


@dataclass
class LensServer:
    """`async with LensServer() as lens:`, then `lens.base` is the address to give a sink.

    pods: pod name to the uids of its workloads, as the cache knows them. cold: so many lookups find the cache empty.
    cookie: what the Cookie header must hold, once authentication is switched on. malformed: a row that is refused as
    "invalid request format", in the place of whatever another version may not read.
    """

    prefix: str = "/v1"
    pods: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cold: int = 0
    cookie: str | None = None
    malformed: Callable[[int, dict[str, Any]], bool] = lambda step, values: False
    batch_fails: set[str] = field(default_factory=set)
    tls: ssl.SSLContext | None = None
    script: list[Behaviour] = field(default_factory=list)
    pushes: list[Push] = field(default_factory=list)
    rows: dict[tuple[str, int], Row] = field(default_factory=dict)
    detections: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    most_in_flight: Counter[str] = field(default_factory=Counter)
    port: int = 0

    def __post_init__(self) -> None:
        self.go = asyncio.Event()
        self.arrived = asyncio.Event()
        self._in_flight: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None
        self._place: socket.socket | None = None

    async def __aenter__(self) -> "LensServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        if self._place is not None:
            self._place.close()

    async def start(self) -> None:
        """Listen; again at the same port after a `stop`."""
        app = web.Application(client_max_size=1 << 30)  # the real one has no limit
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]
        if self._place is not None:
            self._place.close()

    async def stop(self) -> None:
        """Go away; what is stored stays, and so does the port, for nobody else."""
        self.go.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            # Bound but not listening: connections are refused, and the next `start` can still bind it.
            self._place = socket.socket()
            self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._place.bind(("127.0.0.1", self.port))
        self.go.clear()

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        return self.origin + self.prefix

    def values(self, workload: str) -> dict[int, dict[str, float]]:
        """Step to the metrics of a workload, without what Lens keeps beside them."""
        own = {"source", "run_id", "step", "created_at", "updated_at", "history"}
        return {
            step: {name: value for name, value in row.performance.items() if name not in own}
            for (uid, step), row in self.rows.items()
            if uid == workload
        }

    def steps(self) -> list[int]:
        """The steps of every push, in the order they came, repeats included."""
        return [step for push in self.pushes for step, _, _ in push.rows]

    # --- HTTP --------------------------------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.path, dict(request.headers), body))
        self.arrived.set()
        kind = request.path.removeprefix(self.prefix + "/wandb/")
        if self.prefix + "/wandb/" + kind != request.path:
            return web.Response(status=404, text="404 page not found")
        if kind.endswith("/"):
            return web.Response(status=307, headers={"Location": request.path.rstrip("/")})
        if kind not in ("metrics", "logs", "batch", "detection") or request.method != "POST":
            return web.Response(status=404, text="404 page not found")
        if self.cookie is not None and request.headers.get("Cookie") != self.cookie:
            return web.json_response({"code": 401, "message": "authentication required"}, status=401)
        behaviour = self.script.pop(0) if self.script else "ok"
        if isinstance(behaviour, Reply):
            return web.Response(status=behaviour.status, body=behaviour.body, headers=behaviour.headers)
        return await self._behave(request, kind, body, behaviour)

    async def _behave(self, request: web.Request, kind: str, body: bytes, behaviour: str) -> web.StreamResponse:
        if behaviour == "refuse":
            return self._break_off(request)
        if behaviour == "fail":
            return _envelope(500, f"failed to process {kind}", {})
        try:
            workload = self._begin(body)
            try:
                # Whoever does not wait for the answer is seen here: two requests of a workload would overlap.
                await asyncio.sleep(0)
                answer = self._ingest(kind, body)
                if behaviour == "hang":
                    await self.go.wait()
            finally:
                self._in_flight[workload] -= 1
        except Malformed:
            return _envelope(400, "invalid request format")
        if behaviour == "drop":
            return self._break_off(request)
        if behaviour == "fail late":
            return _envelope(500, f"failed to process {kind}", {})
        return web.Response(text="<html>hello</html>") if behaviour == "broken" else answer

    def _begin(self, body: bytes) -> str:
        header = lower(decode(body))
        workload = str(header.get("workload_uid") or header.get("pod_name") or "")
        self._in_flight[workload] += 1
        self.most_in_flight[workload] = max(self.most_in_flight[workload], self._in_flight[workload])
        return workload

    def _break_off(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    # --- what Lens does ----------------------------------------------------------------------------------------------

    def _ingest(self, kind: str, body: bytes) -> web.Response:
        value = decode(body)
        if kind != "batch":
            return self._take(kind, value)
        results = {}
        for part, content in lower(value).items():
            if part not in ("detection", "metrics", "logs") or content is None:
                continue
            failed = part in self.batch_fails or self._take(part, content).status != 200
            results[part] = {"success": not failed, **({"error": f"failed to process {part}"} if failed else {})}
        return _envelope(200, "OK", {"success": True, "results": results})

    def _take(self, kind: str, value: object) -> web.Response:
        header = lower(value)
        for name in ("source", "workload_uid", "pod_uid", "pod_name", "run_id"):
            header[name] = typed(header.get(name), str, "")
        header["timestamp"] = number(header.get("timestamp"))
        rows = [] if kind == "detection" else metrics(header) if kind == "metrics" else logs(header)
        if any(self.malformed(step, values) for step, _, values in rows):
            raise Malformed("as the test asked")
        if not header["workload_uid"] and not header["pod_name"]:
            return _envelope(400, "either workload_uid or pod_name is required")
        uids = self._workloads(header)
        if not uids:
            return _envelope(400, "no valid workload found")
        if kind == "detection":
            self.detections.append(header)
            return _envelope(200, "OK", {"message": "detection reported successfully", "success_count": len(uids)})
        self.pushes.append(Push(kind, header, rows))
        stored = [[self._store(uid, header, row) for row in rows] for uid in uids]
        if not any(all(done) for done in stored):
            return _envelope(500, f"failed to process {kind}", {})
        message = "metrics reported successfully" if kind == "metrics" else "training data reported successfully"
        done = sum(all(row) for row in stored)
        count = len(header.get(kind) or [])
        data = {"message": message, "count": count, "workloads_count": len(uids), "success_count": done}
        return _envelope(200, "OK", data)

    def _workloads(self, header: dict[str, Any]) -> tuple[str, ...]:
        if header["workload_uid"]:
            return (header["workload_uid"],)
        if self.cold > 0:
            self.cold -= 1
            return ()
        return self.pods.get(header["pod_name"], ())

    def _store(self, uid: str, header: dict[str, Any], row: tuple[int, float, dict[str, Any]]) -> bool:
        step, time, values = row
        try:
            at = datetime.fromtimestamp(time, UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return False
        if any("\0" in name for name in values):
            return False
        key = uid, (step + 2**31) % 2**32 - 2**31
        new = {"source": "wandb", "run_id": header["run_id"], "step": step, **values}
        old = self.rows.get(key)
        if old is None:
            self.rows[key] = Row({**new, "created_at": at}, time, header["run_id"], header["pod_uid"])
            return True
        before = {name: value for name, value in old.performance.items() if name != "history"}
        before["updated_at"] = old.performance["created_at"]
        history = old.performance.get("history")
        new["history"] = [*(history if isinstance(history, list) else []), before]
        old.performance.update(new, updated_at=at)
        old.run_id, old.pod_uid = header["run_id"], header["pod_uid"]
        return True


def _envelope(status: int, message: str, data: object = None) -> web.Response:
    code = 2000 if status == 200 else status
    meta = {"code": code, "message": message}
    return web.json_response({"meta": meta, "data": data, "tracing": None}, status=status)
