"""How Lens wants a step: whatever is logged becomes a request it can decode and store."""

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins.lens_decoding import Malformed, decode, logs, lower, metrics
from wayside.row import Row
from wayside_collector.session import Pod, Run
from wayside_collector.sinks.base import Parcel, Part, Step
from wayside_collector.sinks.lens import LensOptions
from wayside_collector.sinks.lens.encode import (
    MAX_POINTS,
    RESERVED,
    Header,
    Push,
    clean,
    encode,
    identify,
    lens_name,
    prefix,
    requests,
)
from wayside_collector.sinks.lens.kept import Kept
from wayside_collector.sinks.lens.options import MAX_INT32
from wayside_collector.sinks.lens.plan import make_plan
from wayside_collector.testing import make_session

NOW = 1_767_225_600.0
HEADER = Header("w1", "", "pod-0", "r1")


def options(**values) -> LensOptions:
    return LensOptions(endpoint="http://lens/v1", **values)


def push(step: int, values: dict[str, float], time: float = NOW) -> Push:
    return Push(frozenset({("s", step)}), step, time, values, None, 0, 0, False)


# --- identity --------------------------------------------------------------------------------------------------------


def test_the_options_workload_wins_over_the_sessions():
    """A workload_uid that is configured is sent, whatever the session says."""
    session = make_session(workload="w1", pod=Pod(name="pod-0", uid="p-1"))
    assert identify(session, options(workload_uid="w9")) == Header("w9", "p-1", "pod-0", "r1")
    assert identify(session, options()).workload_uid == "w1"


@pytest.mark.parametrize("workload", [None, "", "pod-0", "p-1"])
def test_without_a_workload_the_pod_is_what_lens_looks_up(workload):
    """A workload that is missing, or the pod under another name, is left empty: Lens believes any workload_uid, and
    the rows would lie where nobody looks.
    """
    session = make_session(workload=workload, pod=Pod(name="pod-0", uid="p-1"))
    assert identify(session, options()) == Header("", "p-1", "pod-0", "r1")


def test_the_sessions_workload_can_be_left_away():
    """With workload_from: pod, what the session calls its workload is not sent; a configured uid still is."""
    session = make_session(workload="a-name", pod=Pod(name="pod-0"))
    assert identify(session, options(workload_from="pod")).workload == ("", "pod-0")
    assert identify(session, options(workload_from="pod", workload_uid="w1")).workload == ("w1", "pod-0")


def test_what_is_not_known_is_empty():
    """A session that knows nothing of its place sends empty texts, not absent ones."""
    header = identify(make_session(), options())
    assert header == Header("", "", "", "r1")
    body = json.loads(encode("metrics", header, [], NOW))
    assert {body[name] for name in ("workload_uid", "pod_uid", "pod_name")} == {""}


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_name_is_put_aside(name):
    """A metric called like what Lens keeps itself is sent under another name."""
    assert lens_name(name) == f"metric/{name}"
    assert lens_name(f"metric/{name}") == f"metric/metric/{name}"


@pytest.mark.parametrize(("name", "sent"), [("a\0b", "ab"), ("\0", "_"), ("step\0", "metric/step"), ("\ud800x", "?x")])
def test_what_the_database_cannot_store_is_taken_out_of_a_name(name, sent):
    """NUL and lone surrogates fail a whole step in PostgreSQL, so no name has them."""
    assert lens_name(name) == sent


@given(st.lists(st.text(max_size=4) | st.sampled_from([*RESERVED, *(f"metric/{n}" for n in RESERVED)]), unique=True))
def test_no_two_clean_names_become_one(names):
    """Putting aside is injective, so no value overwrites another's."""
    kept = {clean(name) for name in names} - {""}
    assert len({lens_name(name) for name in kept}) == len(kept)


@pytest.mark.parametrize(
    ("values", "before"),
    [
        ({}, ""),
        ({"run_prefix": "id"}, "r1/"),
        ({"run_prefix": "name"}, "first try/"),
        ({"ranks": "all"}, "rank3/"),
        ({"run_prefix": "id", "ranks": "all"}, "r1/rank3/"),
    ],
)
def test_what_lens_cannot_tell_apart_stands_in_the_name(values, before):
    """Lens files by workload and step alone, so runs and ranks that share them are told apart by a prefix."""
    session = make_session(rank=3, run="r1", workload="w1")
    named = Run(id="r1", name="first try")
    assert prefix(type(session)(session="s", run=named, rank=3), options(**values)) == before


def test_a_run_without_a_name_is_called_by_its_id():
    """run_prefix: name falls back on the id, and a session without a rank has no rank in its names."""
    session = type(make_session())(session="s", run=Run(id="r7"))
    assert prefix(session, options(run_prefix="name", ranks="all")) == "r7/"


# --- requests --------------------------------------------------------------------------------------------------------


def test_a_request_holds_at_most_so_many_steps_in_order():
    """Pushes are cut into lists of at most fifty steps; pushes of one step count once."""
    pushes = [push(i // 2, {"a": 1.0}) for i in range(240)]
    batches = list(requests(pushes, 50))
    assert [len(batch) for batch in batches] == [100, 100, 40]
    assert list(itertools.chain(*batches)) == pushes


def test_wide_steps_go_in_smaller_company_and_one_goes_whole():
    """The limit of points ends a request early, but never takes a step apart."""
    wide = {f"m{i}": 1.0 for i in range(MAX_POINTS // 2)}
    wider = {f"m{i}": 1.0 for i in range(MAX_POINTS + 1)}
    batches = list(requests([push(1, wide), push(2, wide), push(3, wide), push(4, wider), push(5, {"a": 1.0})], 50))
    assert [[p.step for p in batch] for batch in batches] == [[1, 2], [3], [4], [5]]


def test_the_documented_body():
    """A request to /wandb/metrics is what Lens's own exporter sends: one element a value, integer steps, seconds."""
    body = encode("metrics", HEADER, [push(120, {"train/loss": 2.31, "lr": 3e-4})], NOW + 1)
    assert json.loads(body) == {
        "source": "wandb",
        "workload_uid": "w1",
        "pod_uid": "",
        "pod_name": "pod-0",
        "run_id": "r1",
        "timestamp": NOW + 1,
        "metrics": [
            {"name": "train/loss", "value": 2.31, "step": 120, "timestamp": NOW, "tags": {}},
            {"name": "lr", "value": 3e-4, "step": 120, "timestamp": NOW, "tags": {}},
        ],
    }
    assert b'"step":120,' in body


def test_the_compact_body():
    """A request to /wandb/logs carries the same, one entry a step."""
    body = json.loads(encode("logs", HEADER, [push(1, {"a": 1.0}), push(2, {"b": 2.0})], NOW))
    assert body["logs"] == [
        {"step": 1, "timestamp": NOW, "data": {"a": 1.0}},
        {"step": 2, "timestamp": NOW, "data": {"b": 2.0}},
    ]
    assert "metrics" not in body


@pytest.mark.parametrize("form", ["metrics", "logs"])
def test_pushes_of_one_step_are_one_in_a_request(form):
    """Lens copies a row into its history with each push of its step, so one request says each step once."""
    body = encode(form, HEADER, [push(1, {"a": 1.0, "b": 1.0}), push(2, {"a": 2.0}), push(1, {"a": 9.0}, NOW + 5)], NOW)
    rows = {"metrics": metrics, "logs": logs}[form](lower(decode(body)))
    assert rows == [(1, NOW, {"a": 9.0, "b": 1.0}), (2, NOW, {"a": 2.0})]


numbers = st.floats() | st.integers(-(2**70), 2**70).map(float)
names = st.text(max_size=6) | st.sampled_from(["step", "history", "a\0", "tflops", "\ud800", "metric/step"])
steps = st.integers(-(2**40), 2**40) | st.integers(0, 3)


@st.composite
def records(draw):
    values = draw(st.dictionaries(names, numbers, max_size=4))
    seq = draw(st.integers(0, 2**40))
    time = draw(numbers)
    if draw(st.booleans()):
        return Row(seq, time, draw(st.none() | steps), True, False, tuple(values), tuple(values.values()))
    return Step((seq, seq + 1), time, time, draw(steps), values, 2 * len(values), draw(st.booleans()))


@given(st.lists(st.tuples(records(), st.booleans(), st.sampled_from(["w1", None])), max_size=12), st.data())
def test_whatever_is_logged_becomes_a_request_lens_can_decode(made, data):
    """Any mix of rows and steps leads to strict JSON with 32-bit integer steps, finite values, texts without NUL and
    times that can be written down; what is left out is counted, what cannot be sent refused, and nothing is lost.
    """
    chosen = options(
        push=data.draw(st.sampled_from(["metrics", "logs"])),
        ensure_tflops=data.draw(st.booleans()),
        target_iteration=data.draw(st.none() | st.just(MAX_INT32)),
        run_prefix=data.draw(st.sampled_from(["none", "id"])),
    )
    parts = [
        Part(make_session(workload=workload, pod=Pod(name="p"), run="r\0\ud8001"), [record], (), primary)
        for record, primary, workload in made
    ]
    parcel = Parcel(parts)
    plan = make_plan(parcel, chosen, Kept({}), NOW)
    rows = set(plan.delivered).union(*plan.refused.values())
    for header, pushes in plan.pushes.items():
        for batch in requests(pushes, chosen.steps_per_request):
            body = encode(chosen.push, header, batch, NOW)
            said = lower(decode(body))
            assert not any("\0" in said[name] for name in ("workload_uid", "pod_name", "run_id"))
            for step, time, values in {"metrics": metrics, "logs": logs}[chosen.push](said):
                assert -(2**31) <= step < 2**31
                assert 0 <= time <= 253_402_300_799
                assert values
                assert all(math.isfinite(value) and name and "\0" not in name for name, value in values.items())
                assert not values.keys() & (RESERVED - {"target_iteration"})
        rows.update(row for p in pushes for row in p.refs)
    assert rows == parcel.refs()


@pytest.mark.parametrize(
    "body",
    [
        b'{"metrics":[{"name":"a","value":NaN,"step":1}]}',
        b'{"metrics":[{"name":"a","value":1,"step":1.0}]}',
        b'{"metrics":[{"name":"a","value":1,"step":1e2}]}',
        b'{"metrics":[{"name":"a","value":"1","step":1}]}',
        b'{"metrics":[{"name":"a","value":true,"step":1}]}',
        b'{"metrics":[{"name":"a","value":1,"step":1,"tags":{"rank":0}}]}',
        b'{"metrics":[{"name":"a","value":1e999,"step":1}]}',
        b'{"metrics":[{"name":"a","value":1,"step":9223372036854775808}]}',
        b'{"metrics":{}}',
        b"[]",
        b"{",
    ],
)
def test_the_stand_in_is_as_strict_as_lens(body):
    """What Go's decoder refuses, the stand-in's refuses: without it, the test above would prove nothing."""
    with pytest.raises(Malformed):
        metrics(lower(decode(body)))


def test_the_stand_in_is_as_lenient_as_lens():
    """Keys in any case, unknown fields and null are taken, as Go takes them."""
    body = b'{"Metrics":[{"NAME":"a","value":1,"step":2,"extra":[],"tags":null},{"name":null}]}'
    assert metrics(lower(decode(body))) == [(2, 0.0, {"a": 1.0}), (0, 0.0, {"": 0.0})]
