"""A receiver of remote write in this process: it decodes by the published schema, and takes a request whole or not at
all, as Prometheus does.
"""

import contextlib
import math
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import cramjam
from aiohttp import web
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, unknown_fields

STALE = struct.pack("<Q", 0x7FF0000000000002)
_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "string": _FIELD.TYPE_STRING,
    "double": _FIELD.TYPE_DOUBLE,
    "int64": _FIELD.TYPE_INT64,
    "uint32": _FIELD.TYPE_UINT32,
    "int32": _FIELD.TYPE_INT32,
}

#: message to fields: (name, number, type, repeated), as in prompb/remote.proto, types.proto and io/prometheus/write/v2.
_V1 = {
    "Label": [("name", 1, "string", False), ("value", 2, "string", False)],
    "Sample": [("value", 1, "double", False), ("timestamp", 2, "int64", False)],
    "TimeSeries": [("labels", 1, "Label", True), ("samples", 2, "Sample", True)],
    "WriteRequest": [("timeseries", 1, "TimeSeries", True)],
}
_V2 = {
    "Sample": [("value", 1, "double", False), ("timestamp", 2, "int64", False)],
    "Metadata": [("type", 1, "int32", False), ("help_ref", 3, "uint32", False), ("unit_ref", 4, "uint32", False)],
    "TimeSeries": [
        ("labels_refs", 1, "uint32", True),
        ("samples", 2, "Sample", True),
        ("metadata", 5, "Metadata", False),
    ],
    "Request": [("symbols", 4, "string", True), ("timeseries", 5, "TimeSeries", True)],
}


def _classes(package: str, messages: dict[str, list[tuple[str, int, str, bool]]]) -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, repeated in fields:
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            found = message.field.add(name=field_name, number=number, label=label)
            if kind in _TYPES:
                found.type = _TYPES[kind]
            else:
                found.type, found.type_name = _FIELD.TYPE_MESSAGE, f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


WriteRequest = _classes("prometheus", _V1)["WriteRequest"]
Request = _classes("io.prometheus.write.v2", _V2)["Request"]

Labels = tuple[tuple[str, str], ...]
Decoded = list[tuple[Labels, list[tuple[int, float]]]]


def decode(body: bytes, content_type: str) -> Decoded:
    """A request's series in its order. Fails the test for what the specification forbids."""
    message = bytes(cramjam.snappy.decompress_raw(body))
    if "v2.Request" in content_type:
        request = Request.FromString(message)
        assert request.symbols[0] == ""
        assert len(set(request.symbols)) == len(request.symbols)
        texts = [[request.symbols[ref] for ref in one.labels_refs] for one in request.timeseries]
        named = [tuple(zip(text[::2], text[1::2], strict=True)) for text in texts]
        assert all(one.metadata.type for one in request.timeseries)
    else:
        request = WriteRequest.FromString(message)
        named = [tuple((label.name, label.value) for label in one.labels) for one in request.timeseries]
    assert not len(unknown_fields.UnknownFieldSet(request)), "fields of another schema"
    for labels in named:
        assert list(labels) == sorted(labels)
        assert all(value for _, value in labels)
        assert len({name for name, _ in labels}) == len(labels)
    assert len(set(named)) == len(named), "a series twice in a request"
    return [
        (labels, [(point.timestamp, point.value) for point in one.samples])
        for labels, one in zip(named, request.timeseries, strict=True)
    ]


@dataclass
class Receiver:
    """What was taken, and how to answer. answer: status and text for a request, or None to take it as Prometheus does.
    oldest: no sample before this time (ms) is taken.
    """

    url: str = ""
    taken: dict[Labels, list[tuple[int, float]]] = field(default_factory=dict)
    requests: list[Decoded] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answer: Callable[[Decoded], tuple[int, str] | None] = lambda request: None
    after: Callable[[Decoded], int | None] = lambda request: None
    oldest: int = 0

    def series(self, name: str) -> dict[Labels, list[tuple[int, float]]]:
        return {labels: points for labels, points in self.taken.items() if dict(labels)["__name__"] == name}

    def values(self, name: str) -> list[float]:
        (points,) = self.series(name).values()
        return [value for _, value in points]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        found = decode(body, request.headers["Content-Type"])
        self.requests.append(found)
        self.headers.append(dict(request.headers))
        told = self.answer(found) or self._refusal(found)
        if told is None:
            for labels, points in found:
                self.taken.setdefault(labels, [])
                self.taken[labels] += [point for point in points if point not in self.taken[labels][-1:]]
        later = self.after(found)  # it was taken, and the sender hears something else
        status, text = (later, "too bad") if later else told or (204, "")
        more = {"Retry-After": "7"} if status in (429, 503) else {}
        return web.Response(status=status, text=text, headers=more)

    def _refusal(self, request: Decoded) -> tuple[int, str] | None:
        for labels, points in request:
            last = self.taken.get(labels, [])[-1:]
            for point in points:
                if point[0] < self.oldest:
                    return 400, "out of bounds"
                if last and point[0] < last[0][0]:
                    return 400, "out of order sample"
                if last and point[0] == last[0][0] and not same(point[1], last[0][1]):
                    return 400, "duplicate sample for timestamp"
                last = [point]
        return None


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and struct.pack("<d", one) == struct.pack("<d", other))


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """One that listens."""
    made = Receiver()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/api/v1/write", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1/write"
    try:
        yield made
    finally:
        await runner.cleanup()
