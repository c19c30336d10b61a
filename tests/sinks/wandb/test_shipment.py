"""What a send gives to one run."""

import pytest
from wayside_collector.sinks.base import Parcel, Part, Step
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.sinks.wandb.course import Course, has_changes, same
from wayside_collector.sinks.wandb.encode import encode
from wayside_collector.sinks.wandb.feed import Feed, Problem
from wayside_collector.sinks.wandb.file_stream import EVENTS, HISTORY, SUMMARY, Post
from wayside_collector.sinks.wandb.flight import STEP, RunKey
from wayside_collector.sinks.wandb.graphql import Standing
from wayside_collector.sinks.wandb.ledger import Intent, Segment
from wayside_collector.sinks.wandb.protocol import AlertOp, ConfigOp, MetricOp, RowOp, SampleOp, SummaryOp
from wayside_collector.sinks.wandb.shipment import MAX_OPS, MAX_POINTS, RESHIP, Loading
from wayside_collector.testing import make_event, make_rows, make_session

S = "a" * 32
SESSION = make_session("r1", rank=0, id=S)
SYSTEM = make_session("sys", kind="system", id="f" * 32)
KEY = RunKey(None, "demo", "r1")


def one(seq: int, step: int, **metrics: float) -> Step:
    return Step((seq,), 5.0, 5.0, step, metrics or {"x": float(seq)}, 1, False)


def text(seq: int, step: int, name: str = "note"):
    return make_event("text", {"values": {name: f"t{seq}"}}, seq=seq, step=step)


def opened() -> Course:
    course = Course(KEY, "1")
    course.feed = Feed(KEY, lambda: None)
    course.feed.stands(Standing(-1, 0, 0))
    course.opened = True
    return course


def load(course: Course, *records, settled=(), now: float = 0.0, every_row: bool = False, held=lambda: None):
    parts = [Part(SESSION, list(records), (), True)]
    plan = encode(Parcel(parts), WandbOptions(), lambda name, by: None).plans[KEY]
    return Loading(course, lambda ref: ref in settled, every_row, now, held).load(plan)


def depart(shipment, batch: int = 1, now: float = 0.0):
    for chunk in shipment.chunks():
        shipment.depart(chunk, batch, now)


def ops(shipment) -> list:
    return [one.op for one in shipment.loads]


def history(*steps: int) -> Post:
    lines = [f'{{"_step": {step}}}' for step in steps]
    return Post({"files": {HISTORY: {"offset": 0, "content": lines}}})


def test_rows_on_their_way_are_not_sent_again():
    """The same parcel, sent again while the first is not answered, gives the SDK nothing."""
    course = opened()
    depart(load(course, one(0, 0), one(1, 1)))
    assert load(course, one(0, 0), one(1, 1)).loads == []
    assert [op.step for op in ops(load(course, one(0, 0), one(1, 1), one(2, 2)))] == [2]


def test_settled_rows_are_not_sent_again():
    """What W&B has needs no line."""
    course = opened()
    assert [op.values["x"] for op in ops(load(course, one(0, 0), one(1, 1), settled={(S, 0)}))] == [1.0]


def test_a_step_that_grew_waits_for_its_first_rows():
    """A step merged anew with a row whose other rows are on their way goes when those have landed, as one more line."""
    course = opened()
    depart(load(course, Step((0, 1), 1.0, 1.0, 5, {"a": 1.0}, 2, False)))
    grown = Step((0, 1, 2), 1.0, 1.0, 5, {"a": 1.0, "b": 2.0}, 3, False)
    assert load(course, grown).loads == []
    course.feed.taken(history(5))
    settled = set(course.collect().delivered)
    (again,) = load(course, grown, settled=settled).lines
    assert (again.step, again.line.refs) == (6, ((S, 2),))


def test_a_late_text_joins_the_next_row():
    """A text whose row went before takes no number of its own: that would move the steps of all later rows."""
    course = opened()
    depart(load(course, one(0, 10)))
    shipment = load(course, text(1, 10), one(2, 11))
    assert [(op.step, op.values) for op in ops(shipment)] == [(11, {"x": 2.0, "note": "t1", "_timestamp": 5.0})]
    assert shipment.lines[0].line.refs == ((S, 2), (S, 1))


def late(seq: int, step: int, **metrics: float) -> Step:
    return one(seq, step, **metrics)._replace(late=True)


def test_late_rows_move_no_steps():
    """What comes of a step after the step, as statistics of gradients do, joins its line where that has not gone, else
    the next one, else the newest: so every other row keeps the user's step.
    """
    course = opened()
    depart(load(course, one(0, 7)))
    shipment = load(
        course, late(1, 7, g7=1.0), one(2, 8), one(3, 9), late(4, 8, g8=1.0), late(5, 8, h8=1.0), late(6, 6, g6=1.0)
    )
    assert [(op.step, sorted(op.values)) for op in ops(shipment)] == [
        (8, ["_timestamp", "g7", "g8", "h8", "x"]),
        (9, ["_timestamp", "g6", "x"]),
    ]
    assert shipment.restepped == 0
    assert {ref for numbered in shipment.lines for ref in numbered.line.refs} == {(S, seq) for seq in range(1, 7)}
    depart(shipment)
    assert [(op.step, op.values["x"]) for op in ops(load(course, one(7, 10)))] == [(10, 7.0)]


def test_rows_that_go_back_for_good_stay_in_their_order():
    """After a resume from a checkpoint the same metrics come again: each row has its own line, before later ones."""
    course = opened()
    depart(load(course, one(0, 10)))
    shipment = load(course, late(1, 9), late(2, 10), one(3, 11))
    lines = [op for op in ops(shipment) if isinstance(op, RowOp)]
    assert [(op.values["x"], op.values[STEP]) for op in lines] == [(1.0, 9), (2.0, 10), (3.0, 11)]
    assert [op.step for op in lines] == [11, 12, 13]


def test_a_late_text_that_no_row_can_take_is_a_line():
    """Two texts of one name need two lines, and a text at the end of a parcel one: nothing is lost."""
    course = opened()
    depart(load(course, one(0, 10)))
    shipment = load(course, text(1, 10), text(2, 9), one(3, 11))
    assert [(op.step, op.values.get("note"), op.values.get(STEP)) for op in ops(shipment) if isinstance(op, RowOp)] == [
        (11, "t1", None),
        (12, "t2", 9),
    ]


def test_the_sdk_is_told_of_the_step_metric_once():
    """Before the first row that carries it, and not for runs that need none."""
    course = opened()
    assert load(course, one(0, 5)).restepped == 0
    depart(load(course, one(0, 5)))
    shipment = load(course, one(1, 5))
    assert ops(shipment)[0] == MetricOp({"name": STEP, "hidden": True})
    assert (ops(shipment)[1].step, shipment.restepped) == (6, 1)
    depart(shipment)
    assert [type(op) for op in ops(load(course, one(2, 5)))] == [RowOp]


def test_the_step_metric_can_be_on_every_row():
    """With `step_axis: wayside` it is the x-axis of everything."""
    shipment = load(opened(), one(0, 5), every_row=True)
    assert ops(shipment)[:2] == [
        MetricOp({"name": STEP, "hidden": True}),
        MetricOp({"name": "*", "step_metric": STEP}),
    ]
    assert ops(shipment)[2].values[STEP] == 5


def test_a_summary_does_not_undo_later_rows():
    """What a later row of the parcel logs under the same name wins, however often the change is sent."""
    course = opened()
    shipment = load(course, make_event("summary", {"set": {"x": 9, "best": 1}}, seq=0), one(1, 0))
    assert ops(shipment)[0] == SummaryOp({"best": 1}, [])
    shipment = load(opened(), one(0, 0), make_event("summary", {"set": {"x": 9}}, seq=1))
    assert ops(shipment)[1] == SummaryOp({"x": 9}, [])
    assert load(opened(), make_event("summary", {"set": {"x": 9}}, seq=0), one(1, 0)).done == [(S, 0)]


def test_config_that_came_with_the_opening_is_done():
    """It was in the first request, and W&B has answered that."""
    course = opened()
    course.feed.upserted({"config": '{"lr": {"value": 0.1}}'})
    assert load(course, make_event("config", {"set": {"lr": 0.1}}, seq=0)).done == [(S, 0)]
    assert ops(load(course, make_event("config", {"set": {"lr": 0.2}}, seq=0))) == [ConfigOp({"lr": 0.2}, [])]


def test_a_change_that_is_not_acknowledged_is_handed_over_again():
    """The SDK gives up a config after some tries; waiting for it for ever would hold all rows."""
    course, event = opened(), make_event("config", {"set": {"lr": 0.1}}, seq=0)
    depart(load(course, event))
    assert load(course, event, now=RESHIP / 2).loads == []
    assert len(load(course, event, now=RESHIP * 2).loads) == 1


def test_the_primary_sessions_keys_are_its_own():
    """Another rank may fill gaps of the config, and change what it set itself."""
    course = opened()
    assert course.may_set(ConfigOp({"a": 1}, []), False) == ConfigOp({"a": 1}, [])
    assert course.may_set(ConfigOp({"a": 2}, []), False) == ConfigOp({"a": 2}, [])
    assert course.may_set(ConfigOp({"a": 3, "b": 3}, []), True) == ConfigOp({"a": 3, "b": 3}, [])
    assert course.may_set(ConfigOp({"a": 4, "c": 4}, ["b", "c"]), False) == ConfigOp({"c": 4}, ["c"])
    assert course.may_set(ConfigOp({}, ["a"]), True) == ConfigOp({}, ["a"])
    assert course.may_set(ConfigOp({"a": 5}, []), False) == ConfigOp({"a": 5}, [])


def test_an_alert_waits_for_the_last_of_its_title():
    """By the alerts' own times; and one that is sent again is not too soon after itself."""
    course, held = opened(), []

    def alert(seq: int, time: float):
        data = {"title": "T", "wait": 60}
        return load(course, make_event("alert", data, seq=seq, time=time), held=lambda: held.append(seq))

    assert ops(alert(0, 1000.0)) == [AlertOp("T", "", "INFO")]
    assert ops(alert(0, 1000.0)) == [AlertOp("T", "", "INFO")]
    assert alert(1, 1059.0).done == [(S, 1)]
    assert held == [1]
    assert ops(alert(2, 1060.0)) == [AlertOp("T", "", "INFO")]


def test_messages_to_the_child_are_bounded():
    """By their ops and by their points, and nothing is left out."""
    many = load(opened(), *(one(i, i) for i in range(2 * MAX_OPS + 1)))
    assert [len(chunk) for chunk in many.chunks()] == [MAX_OPS, MAX_OPS, 1]
    wide = {f"m{i}": 1.0 for i in range(MAX_POINTS // 2)}
    rows = load(opened(), *(one(i, i, **wide) for i in range(3)))
    assert [len(chunk) for chunk in rows.chunks()] == [1, 1, 1]


def test_the_ledger_is_told_before_anything_leaves():
    """Lines and samples with their numbers, after the folder they go to."""
    course = opened()
    course.flight.segment = ("/folder", 0)
    plan = encode(
        Parcel(
            [
                Part(SESSION, [one(4, 7)], (), True),
                Part(SYSTEM, make_rows(1, {"host/load1": 1.0}, seq=3), (SESSION,)),
            ]
        ),
        WandbOptions(),
        lambda name, by: None,
    ).plans[KEY]
    shipment = Loading(course, lambda ref: False, False, 0.0, lambda: None).load(plan)
    assert shipment.entries(5) == [
        Segment(KEY, "/folder", 0),
        Intent(KEY, 5, -1, 0, [S, "f" * 32], [(7, [(0, [4])])], [(0, 1, 3)]),
    ]
    assert load(opened(), make_event("summary", {"set": {"a": 1}}, seq=0)).entries(5) == []


def test_what_the_backend_acknowledged_lands():
    """Lines by step, samples by number, alerts by count, changes by what they changed."""
    course = opened()
    feed = course.feed
    depart(
        load(
            course,
            one(0, 0),
            one(1, 1),
            make_event("alert", {"title": "a"}, seq=2),
            make_event("alert", {"title": "b"}, seq=3),
            make_event("config", {"set": {"-lr-": 0.1}}, seq=4),
            make_event("summary", {"set": {"best": float("inf")}}, seq=5),
            make_event("define_metric", {"name": "val/*", "summary": "min"}, seq=6),
        )
    )
    assert course.collect().delivered == []
    assert course.carries((S, 5))
    feed.taken(history(0))
    assert course.collect().delivered == [(S, 0)]
    feed.alerted(None)
    assert course.collect().delivered == [(S, 2)]
    feed.upserted({"config": '{"lr": {"value": 0.1}, "_wandb": {"value": {"m": []}}}'})
    assert course.collect().delivered == [(S, 4)]
    feed.upserted({"config": '{"lr": {"value": 0.1}, "_wandb": {"value": {"m": [{"2": "val/*"}]}}}'})
    assert course.collect().delivered == [(S, 6)]
    feed.taken(Post({"files": {SUMMARY: {"offset": 0, "content": ['{"best": "Infinity"}']}}}))
    assert course.collect().delivered == [(S, 5)]
    assert course.collect() == ([], {})
    assert course.settled == 0


def test_two_acknowledgements_after_a_change_are_enough():
    """W&B may spell a value in a way that cannot be told from another; its rows must not wait for ever."""
    course = opened()
    depart(load(course, make_event("config", {"set": {"a": "x"}}, seq=0)))
    for value in ("y", "y"):
        assert course.collect().delivered == []
        course.feed.upserted({"config": f'{{"a": {{"value": "{value}"}}}}'})
    assert course.collect().delivered == [(S, 0)]


def test_what_the_backend_refuses_is_told_with_its_reason():
    """A line, a sample, an alert that it will not take is neither delivered nor on its way."""
    course = opened()
    depart(load(course, one(0, 0), one(1, 1), make_event("alert", {"title": "a"}, seq=2)))
    course.flight.depart(2, [], [("f" * 32, 0)])
    course.feed.refuse(history(1), "bad line")
    course.feed.refuse(Post({"files": {EVENTS: {"offset": 0, "content": ["{}"]}}}), "bad sample")
    course.feed.alerted("no alerts here")
    course.feed.taken(history(0, 1))
    assert course.collect() == (
        [(S, 0)],
        {(S, 1): "bad line", ("f" * 32, 0): "bad sample", (S, 2): "no alerts here"},
    )
    assert len(course.flight) == 0


def test_a_problem_lasts_until_something_is_taken():
    """What stands in the way is known until W&B takes a request again."""
    feed = opened().feed
    feed.held(Problem("no", 403))
    assert feed.problem.status == 403
    feed.taken(Post({}))
    assert feed.problem is None


@pytest.mark.parametrize(
    ("there", "ours", "equal"),
    [
        (1.1805916207174113e21, 2**70, True),
        (1.0, 1, True),
        (True, 1, False),
        (None, None, True),
        ({"a": [1, {"b": "x"}]}, {"a": (1.0, {"b": "x"})}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ("1", 1, False),
        (0.1, 0.2, False),
    ],
)
def test_values_are_compared_as_json(there, ours, equal):
    """Numbers as 64-bit floats, since W&B keeps no others."""
    assert same(there, ours) is equal


def test_a_removed_key_is_gone():
    """A change that removes is seen when the key is no longer there."""
    assert has_changes({"a": 1}, {"a": 1}, ["b"])
    assert not has_changes({"a": 1, "b": 1}, {"a": 1}, ["b"])


def test_samples_go_as_they_are():
    """A sample is a moment of its own, and no line of history."""
    plan = encode(
        Parcel([Part(SYSTEM, make_rows(2, {"gpu/0/temperature_celsius": 60.0}), (SESSION,))]),
        WandbOptions(),
        lambda name, by: None,
    ).plans[KEY]
    shipment = Loading(opened(), lambda ref: False, False, 0.0, lambda: None).load(plan)
    assert ops(shipment) == [SampleOp(1_767_225_600.0 + i, {"gpu.0.temp": 60.0}) for i in range(2)]
    assert shipment.samples == [("f" * 32, 0), ("f" * 32, 1)]
