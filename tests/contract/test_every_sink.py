"""What every kind of sink promises its pump, its user and its reader: one suite over the whole table."""

import asyncio
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from contract.every_sink import REQUIRED, made, options_of, outcome, parcel_for, rows
from wayside import wire
from wayside.row import ABOUT, ALERT, ARTIFACT, CLIENT, CONFIG, DEFINE_METRIC, FINISH, MEDIA, SAVE, SUMMARY, TEXT
from wayside_collector.configuration import config
from wayside_collector.sinks import SINKS
from wayside_collector.sinks.base import Context, Parcel, Record, SinkOptions, Traits
from wayside_collector.sinks.http_options import HttpOptions
from wayside_collector.testing import make_event

DOCS = Path(__file__).parents[2] / "docs"

every_sink = pytest.mark.parametrize("name", SINKS)
# wandb's real SDK takes ten seconds for each of these; its own tests hold most of it in `make test`.
SENDING = [pytest.param(name, marks=pytest.mark.long) if name == "wandb" else name for name in SINKS]
sending = pytest.mark.parametrize("name", SENDING)
patient = pytest.mark.timeout(120)  # wandb's child imports the SDK, which takes its time on a busy machine

KINDS = (
    *(CONFIG, SUMMARY, ALERT, TEXT, DEFINE_METRIC, ABOUT, CLIENT, MEDIA, ARTIFACT, SAVE, FINISH),
    *("device", "of another version", ""),
)
DATA: tuple[dict[str, Any], ...] = (
    {},
    {"set": 5, "remove": "x", "values": [], "title": None, "exit_code": "no", "wait": -1, "name": 7},
    {"set": {"a": {"b": [1, None, math.inf]}}, "remove": [1], "values": {"t": 5}, "title": "x" * 70_000},
    {
        "name": [],
        "type": {},
        "files": [3, {"path": 7}, {"path": "a/../../b"}],
        "references": [7, {"uri": 5}],
        "metadata": 3,
    },
    {
        "name": "x",
        "type": "table",
        "values": {"columns": 5, "rows": [7, [None, {"media": 3}]]},
        "aliases": 5,
        "plot": 3,
    },
    {
        "name": "x",
        "type": "image",
        "base64": "!!",
        "format": "../p",
        "index": "x",
        "of": "y",
        "files": 7,
        "references": 7,
    },
    {"name": "x", "type": "histogram", "values": {"edges": ["a"], "counts": []}, "caption": 5},
    {"set": {"\x00": "\x00"}, "values": {"\x00": "\U0001f680"}, "title": "\n", "text": "\x00", "gpu/0": 5},
)
NAMES = ("x" * wire.MAX_NAME, "\U0001f680" * 500, "\x00", "a b", "a{b}", 'a"b\n', "_step", "step", "/", "%s")


def options_type(name: str) -> type[SinkOptions]:
    found: type[SinkOptions] = config.load_name(SINKS[name].options)
    return found


def own_options(name: str) -> set[str]:
    kind = options_type(name)
    shared = set(SinkOptions.__struct_fields__)
    return set(kind.__struct_fields__) - shared


@every_sink
def test_its_options_are_a_small_frozen_struct(name: str) -> None:
    """Frozen, closed, by name only, with those of every sink, and each of its own explained where it is defined."""
    kind = options_type(name)
    assert issubclass(kind, SinkOptions)
    struct = kind.__struct_config__
    assert (struct.frozen, struct.forbid_unknown_fields) == (True, True)
    with pytest.raises(TypeError):
        kind("all")  # type: ignore[misc]
    said = " ".join(base.__doc__ or "" for base in kind.__mro__[:-1])
    for option in own_options(name):
        assert re.search(rf"\b{option}\b[^:]*:", said), f"{kind.__name__}'s docstring says nothing of {option}"


@every_sink
def test_its_defaults_are_valid(name: str) -> None:
    """What it can do without has a default that its own check takes; what it cannot is refused by its path."""
    places = {"LENS": "http://lens:8989/v1", "GATEWAY": "http://gateway:9750", "REMOTE_WRITE": "http://p:9090"}
    options = options_of(
        name, **places, WEBHOOK="http://chat:8065/hooks/x", MQTT="mqtt://broker:1883", OTLP="http://c:4318"
    )
    check = getattr(options, "check", None)
    assert check is None or check() == []
    required = [field.name for field in msgspec.structs.fields(options_type(name)) if field.required]
    assert set(required) <= set(REQUIRED.get(name, ()))
    if name == "webhook":
        required = ["endpoint"]  # or one of two others
    if required:
        with pytest.raises(config.ConfigError) as refused:
            config.build({"sinks": {name: {}}}, {})
        assert [said.partition(":")[0] for said in refused.value.problems] == [f"sinks.{name}.{required[0]}"]
    else:
        config.build({"sinks": {name: {}}}, {})


@every_sink
def test_its_traits_are_bounded(name: str) -> None:
    """A parcel has a size, and a commit comes within a minute."""
    traits: Traits = config.load_name(SINKS[name].sink).traits
    assert 1 <= traits.max_records <= 10_000
    assert 0 <= traits.commit_interval <= 60
    assert 0 < traits.step_timeout <= 600


@every_sink
def test_its_page_names_every_option(name: str) -> None:
    """docs/sinks/NAME.md is there, and is linked from the README and the configuration."""
    page = (DOCS / f"sinks/{name}.md").read_text()
    shared = set(HttpOptions.__struct_fields__) if issubclass(options_type(name), HttpOptions) else set()
    for option in own_options(name) | shared:
        assert f"`{option}" in page, f"docs/sinks/{name}.md says nothing of {option}"
    assert f"](docs/sinks/{name}.md)" in (DOCS.parent / "README.md").read_text()
    assert f"](sinks/{name}.md)" in (DOCS / "configuration.md").read_text()


@every_sink
@pytest.mark.asyncio
@patient
async def test_it_can_be_closed_at_any_time(name: str, tmp_path: Path) -> None:
    """Without having been opened, and twice; and opened again after a close."""
    async with made(name, tmp_path) as sink:
        await sink.close()
        await sink.close()
        await sink.open(Context(name, tmp_path / name))
        await sink.close()
        await sink.close()


@sending
@pytest.mark.asyncio
@patient
async def test_odd_parcels(name: str, tmp_path: Path) -> None:
    """Nothing in it, nothing but events, events of every kind with any data, values that are not finite, names as long
    as they may be and of any characters, numbers at the ends of their ranges: each send ends in one of the three ways,
    and an ordinary row is delivered after all of it.
    """
    odd: list[list[Record]] = [[], [make_event(CONFIG, {"set": {"lr": 1}}, seq=0)]]
    for kind in KINDS:
        odd.append([make_event(kind, dict(data), seq=seq, step=seq) for seq, data in enumerate(DATA)])
    values = (math.nan, math.inf, -math.inf, 5e-324, 1.7e308, -0.0)
    odd.append([*rows(1, 50, **{f"v{number}": value for number, value in enumerate(values)})])
    odd.append([*rows(1, 51, **dict.fromkeys(NAMES, 0.5))])
    odd.append([*rows(1, 52, **{f"wide/{number}": 0.5 for number in range(2000)})])
    odd.append([rows(1, 53)[0]._replace(step=(1 << 63) - 1, time=0.0)])
    odd.append([rows(1, 54)[0]._replace(step=-(1 << 63) + 1, time=99_999_999_999.0)])
    async with made(name, tmp_path) as sink:
        await sink.open(Context(name, tmp_path / name))
        assert await outcome(sink, Parcel([])) == "delivered"
        for number, records in enumerate(odd):
            said = await outcome(sink, parcel_for(sink, records, f"odd{number}", rank=0))
            assert said in ("delivered", "reject"), (number, said)
        assert await outcome(sink, parcel_for(sink, rows(3), "ordinary", rank=0)) == "delivered"


@every_sink
@pytest.mark.asyncio
@patient
async def test_the_same_parcel_twice(name: str, tmp_path: Path) -> None:
    """As after a crash between a send and its commit: it is taken again, and the next one, too."""
    async with made(name, tmp_path) as sink:
        await sink.open(Context(name, tmp_path / name))
        parcel = parcel_for(sink, rows(5))
        for one in (parcel, parcel, parcel_for(sink, rows(5, 5))):
            assert await outcome(sink, one) == "delivered"


@sending
@pytest.mark.asyncio
@patient
async def test_cancelled_at_any_point(name: str, tmp_path: Path) -> None:
    """A send that is cancelled leaves a sink that takes the same parcel later, and can be closed and opened anew."""
    async with made(name, tmp_path) as sink:
        await sink.open(Context(name, tmp_path / name))
        parcel = parcel_for(sink, rows(200))
        for turns in (0, 1, 2, 5, 20):
            task = asyncio.ensure_future(sink.send(parcel))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            (came,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(came, asyncio.CancelledError | dict)
        deadline = asyncio.get_running_loop().time() + 60
        while (said := await outcome(sink, parcel)) == "retry":
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.1)
        assert said == "delivered"
        await sink.close()
        await sink.open(Context(name, tmp_path / name))
        assert await outcome(sink, parcel_for(sink, rows(5, 200))) == "delivered"
