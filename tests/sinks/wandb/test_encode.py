"""From a parcel to what each run is to be given."""

from collections import Counter

import pytest
from wayside_collector.session import Pod
from wayside_collector.sinks.base import Parcel, Part, Step
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.sinks.wandb.encode import Config, Encoded, Line, Sample, Told, encode
from wayside_collector.sinks.wandb.flight import RunKey
from wayside_collector.sinks.wandb.plain import MAX_ABOUT
from wayside_collector.sinks.wandb.protocol import AlertOp, ConfigOp, MetricOp, Ship, SummaryOp, pack
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

SESSION = make_session("r1", rank=0, id="a" * 32)
KEY = RunKey(None, "demo", "r1")
OPTIONS = WandbOptions()


def one(seq: int, step: int, late: bool = False, **metrics: float) -> Step:
    return Step((seq,), 5.0 + seq, 5.5 + seq, step, metrics or {"x": 1.0}, 1, late)


def made(*parts: Part, options: WandbOptions = OPTIONS) -> tuple[Encoded, Counter]:
    counts: Counter = Counter()
    return encode(Parcel(list(parts)), options, lambda name, by: counts.update({name: by})), counts


def items(*records, primary: bool = True, session=SESSION):
    encoded, counts = made(Part(session, list(records), (), primary))
    return encoded.plans[KEY].items, counts


def test_a_step_becomes_a_line():
    """With the user's step, the time of its last row, and all its rows' refs."""
    (line,), _ = items(Step((3, 4), 1.0, 2.0, 7, {"a": 1.0, "_timestamp": 9.0}, 2, False))
    assert line == Line((("a" * 32, 3), ("a" * 32, 4)), 7, 2.0, {"a": 1.0, "wayside/user/_timestamp": 9.0})


def test_rows_without_points_ask_for_nothing():
    """An empty `log()` is no line of history."""
    encoded, _ = made(Part(SESSION, [Step((0,), 1.0, 1.0, 0, {}, 0, False)], (), True))
    assert encoded.plans[KEY].items == []
    assert encoded.needs == {}


def test_texts_join_the_line_of_their_step():
    """The strings of a `log()` call stand beside its numbers, whichever comes first."""
    text = make_event("text", {"values": {"note": "hi", "bad": 3}}, seq=1, step=7)
    for records in ([one(0, 7), text], [text, one(0, 7)]):
        (line,), _ = items(*records)
        assert line.values == {"x": 1.0, "note": "hi"}
        assert line.refs == (("a" * 32, 0), ("a" * 32, 1))


def test_texts_without_a_row_are_a_line():
    """A `log()` of strings alone has a step of its own."""
    records = [one(0, 1), make_event("text", {"values": {"note": "hi"}}, seq=1, step=2, time=9.0), one(2, 3)]
    (_, line, _), _ = items(*records)
    assert line == Line((("a" * 32, 1),), 2, 9.0, {"note": "hi"}, True)


def test_ranks_that_do_not_speak_have_names_of_their_own():
    """The loss of rank 3 is not a point of rank 0's curve, and its finish is not the run's."""
    session = make_session("r1", rank=3)
    found, _ = items(
        one(0, 1),
        make_event("summary", {"set": {"best": 1}, "remove": ["old"]}, seq=1),
        make_event("finish", {"exit_code": 1}, seq=2),
        primary=False,
        session=session,
    )
    assert found[0].values == {"rank3/x": 1.0}
    assert found[1].op == SummaryOp({"rank3/best": 1}, ["rank3/old"])
    assert len(found) == 2


def test_config_says_who_set_it():
    """Whether a key is a primary session's decides who may change it; NaN is told as text, which JSON has."""
    event = make_event("config", {"set": {"lr": float("nan"), "": 1}, "remove": ["old", 5]}, seq=0)
    (config,), _ = items(event, primary=False)
    assert config == Config(("a" * 32, 0), ConfigOp({"lr": "NaN"}, ["old"]), False)
    (config,), _ = items(make_event("config", {"set": "odd", "remove": None}, seq=0))
    assert config.op == ConfigOp({}, [])


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**70, float(2**70)),
        (-(10**400), "-Infinity"),
        ([float("-inf"), {"k\ud800": "v\udfff"}], ["-Infinity", {"k?": "v?"}]),
        (True, True),
        (None, None),
    ],
    ids=["int64", "larger", "huge", "text", "bool", "null"],
)
def test_what_json_lets_through_reaches_the_child(value, becomes):
    """Integers of any size and halves of characters are valid JSON, and nothing that the child's pipe takes."""
    (config,), _ = items(make_event("config", {"set": {"a": value}}, seq=0))
    assert config.op.set == {"a": becomes}
    assert pack(1, Ship("h", [config.op]))
    (line,), _ = items(one(0, 1, **{"m\ud800": 1.0}))
    assert list(line.values) == ["m?"]


def test_about_goes_into_the_config_as_what_people_look_for():
    """Command, code and machine are found under `wayside`; a diff, a hundred packages, lists of files would each be
    columns of every table at W&B.
    """
    git = {"commit": "c", "dirty": True, "diff": "d" * 10**6, "untracked": ["a"], "remote": None}
    data = {"command": ["t.py"], "git": git, "packages": {"x": "1"}, "job": None, "cwd": "/" * 2 * MAX_ABOUT}
    (config,), counts = items(make_event("about", data, seq=0))
    assert config.op.set == {"wayside": {"command": ["t.py"], "git": {"commit": "c", "dirty": True}}}
    assert counts == {"cut": 1}
    encoded, _ = made(Part(SESSION, [make_event("about", data, seq=0)], (), True))
    assert (encoded.plans[KEY].identity.program, encoded.plans[KEY].identity.git_commit) == ("t.py", "c")


def test_an_alert_is_cut_to_what_w_and_b_takes():
    """Its title stays below 64 characters, and an unknown level is INFO."""
    alert = make_event("alert", {"title": "t" * 100, "text": "x", "level": "LOUD", "wait": 60}, seq=0, time=7.0)
    (told,), _ = items(alert)
    assert told == Told(("a" * 32, 0), AlertOp("t" * 63, "x", "INFO"), 7.0, 60.0)
    (told,), _ = items(make_event("alert", {}, seq=0))
    assert told.op == AlertOp("alert", "", "INFO")


def test_a_definition_keeps_what_w_and_b_knows():
    """Unknown arguments would make the SDK raise; a definition without a name asks for nothing."""
    event = make_event("define_metric", {"name": "a/*", "step_metric": "s", "hidden": 1, "goal": "max"}, seq=0)
    (told,), _ = items(event)
    assert told.op == MetricOp({"name": "a/*", "step_metric": "s"})
    assert items(make_event("define_metric", {"step_metric": "s"}, seq=0))[0] == []


def test_unknown_kinds_are_counted_and_ask_for_nothing():
    """A client newer than this collector may send what W&B has no place for."""
    encoded, counts = made(
        Part(SESSION, [make_event("histogram", {}, seq=0), make_event("client", {}, seq=1)], (), True)
    )
    assert counts == {"unsupported": 1}
    assert encoded.needs == {}


@pytest.mark.parametrize("data", [{"exit_code": 3}, {"exit_code": None}, {}])
def test_finish_ends_the_run(data):
    """With the session's exit code, 0 where it says none."""
    encoded, _ = made(Part(SESSION, [make_event("finish", data, seq=9, time=50.0)], (), True))
    finish = encoded.plans[KEY].finish
    assert (finish.ref, finish.exit_code, finish.time) == (("a" * 32, 9), data.get("exit_code") or 0, 50.0)
    assert encoded.needs == {("a" * 32, 9): [KEY]}


def test_a_job_that_began_anew_is_not_finished_first():
    """A finish and the next session's rows in one parcel: the run goes on, the finish asks for nothing."""
    again = make_session("r1", rank=0, started=2e9)
    encoded, _ = made(
        Part(SESSION, [make_event("finish", {}, seq=9, time=1.9e9)], (), True), Part(again, [one(0, 5)], (), True)
    )
    assert encoded.plans[KEY].finish is None
    assert ("a" * 32, 9) not in encoded.needs


def test_samples_go_to_every_open_run():
    """Each row of a sampler counts for all runs open then, and is done when all have it."""
    system = make_session("sys", kind="system", id="f" * 32)
    other = make_session("r2")
    (row,) = make_rows(1, {"gpu/0/utilization_ratio": 0.5}, time=7.25)
    encoded, _ = made(Part(system, [row], (SESSION, other)))
    assert encoded.plans[KEY].items == [Sample(("f" * 32, 0), 7.25, {"gpu.0.gpu": 50.0})]
    assert encoded.needs == {("f" * 32, 0): [KEY, RunKey(None, "demo", "r2")]}


def test_samples_without_a_run_ask_for_nothing():
    """No open run, a mirrored run, or `system: false`: there is nowhere to send them."""
    system = make_session("sys", kind="system")
    rows = make_rows(1, {"host/load1": 0.5})
    assert made(Part(system, rows, ()))[0].plans == {}
    assert made(Part(system, rows, (make_session("r3", origin="wandb"),)))[0].plans == {}
    assert made(Part(system, rows, (SESSION,)), options=WandbOptions(system=False))[0].plans == {}


def test_samples_of_a_further_node_are_labelled():
    """GPU 0 of the second node is not GPU 0 of the first."""
    system = make_session("sys", kind="system", pod=Pod(name="train/1"))
    encoded, _ = made(Part(system, make_rows(1, {"host/load1": 1.0}), (make_session("r1", node_rank=1),)))
    assert encoded.plans[KEY].items[0].values == {"wayside.host.load1/l:train-1": 1.0}


def test_mirrored_sessions_are_left_out():
    """The trainer's own SDK uploads them; here they would be there twice."""
    encoded, _ = made(Part(make_session("r1", origin="wandb"), [one(0, 0)], (), True))
    assert (encoded.plans, encoded.needs) == ({}, {})


def test_a_row_longer_than_a_line_may_be_is_refused():
    """The SDK would leave it out without an error."""
    wide = {f"{i:0200d}": 1.0 for i in range(60_000)}
    encoded, _ = made(Part(SESSION, [one(0, 0), one(1, 1, **wide)], (), True))
    assert list(encoded.refused) == [("a" * 32, 1)]
    assert len(encoded.plans[KEY].items) == 1


def test_runs_are_kept_apart():
    """The same id in two projects is two runs; the same run of two sessions is one, with the primary's identity."""
    a = make_session("r1", rank=1, project="p1", host="second")
    b = make_session("r1", rank=0, project="p1", host="first")
    c = make_session("r1", project="p2")
    encoded = encode(
        Parcel([Part(a, [one(0, 0)], (), False), Part(b, [one(0, 0)], (), True), Part(c, [one(0, 0)], (), True)]),
        OPTIONS,
        lambda name, by: None,
    )
    assert {key.project: len(plan.items) for key, plan in encoded.plans.items()} == {"p1": 2, "p2": 1}
    assert encoded.plans[RunKey(None, "p1", "r1")].identity.host == "first"


def test_a_parcel_is_not_changed():
    """The pump keeps it, to send it again."""
    records = [one(0, 7), make_event("text", {"values": {"note": "hi"}}, seq=1, step=7)]
    parcel = make_parcel(SESSION, list(records))
    encode(parcel, OPTIONS, lambda name, by: None)
    assert parcel.parts[0].records == records
    assert records[0].metrics == {"x": 1.0}
