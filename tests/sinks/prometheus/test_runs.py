"""Runs on the page: what is said of them, how they end, begin again and vanish."""

import logging

import pytest
from sinks.prometheus.pages import Desk
from wayside_collector.session import Pod, Run, Session
from wayside_collector.sinks.prometheus.run import MAX_NONFINITE
from wayside_collector.testing import make_event, make_rows, make_session

START = 1_767_225_600.0


def ranks(count: int, run: str = "r1", **fields: object) -> list[Session]:
    return [make_session(run=run, rank=rank, **fields) for rank in range(count)]


def test_the_latest_value_of_each_series_is_shown() -> None:
    """A metric is one series for each rank; a process without a rank has no such label."""
    desk = Desk()
    first, second = ranks(2)
    driver = make_session(run="r1")
    desk.log(first, {"train/loss": 1.0, "lr": 0.1}, step=1)
    desk.log(first, {"train/loss": 0.5}, step=2)
    desk.log(second, {"train/loss": 0.6})
    desk.log(driver, {"reward": 3.0})
    assert desk.scrape("train", "lr", "reward", "run_last_step") == {
        "wayside_train_loss{rank=0,run=r1}": 0.5,
        "wayside_train_loss{rank=1,run=r1}": 0.6,
        "wayside_lr{rank=0,run=r1}": 0.1,
        "wayside_reward{run=r1}": 3.0,
        "wayside_run_last_step{rank=0,run=r1}": 2,
    }
    desk.clock.forward(7)
    desk.log(second, {"train/loss": 0.7})
    times = desk.scrape("run_last_row")
    assert times["wayside_run_last_row_timestamp_seconds{rank=1,run=r1}"] == START + 7
    assert times["wayside_run_last_row_timestamp_seconds{rank=0,run=r1}"] == START


def test_a_run_is_described_once_a_host() -> None:
    """`wayside_run_info` has one series for each run and host, however many ranks, so a join on (host) finds one."""
    desk = Desk()
    run = Run(id="r1", name="brave", project="p", group="g", job_type="train")
    for rank in range(4):
        session = make_session(
            rank=rank,
            run="r1",
            host=f"host-{rank // 2}",
            world_size=4,
            workload="w1",
            pod=Pod(name=f"pod-{rank // 2}", namespace="ns", node="node-1"),
        )
        desk.log(Session(**{**{f: getattr(session, f) for f in session.__struct_fields__}, "run": run}), {"loss": 1.0})
    common = "job_type=train,namespace=ns,node=node-1"
    assert desk.scrape("run_info") == {
        f"wayside_run_info{{attempt=0,group=g,host=host-{host},{common},pod=pod-{host},project=p,run=r1,"
        f"run_name=brave,workload=w1,world_size=4}}": 1
        for host in range(2)
    }


def test_an_ended_run_leaves_its_end_after_two_scrapes() -> None:
    """Once every session has finished, two scrapes show the run, and the third only when it ended."""
    desk = Desk()
    first, second = ranks(2)
    desk.log(first, {"loss": float("nan")}, step=3)
    desk.log(second, {"loss": 2.0}, step=3)
    desk.clock.forward(10)
    desk.finish(first)
    assert desk.scrape("run_end", "run_exit") == {}
    desk.clock.forward(10)
    desk.finish(second)
    for _ in range(2):
        page = desk.scrape()
        assert page["wayside_loss{rank=1,run=r1}"] == 2.0
        assert page["wayside_run_end_timestamp_seconds{run=r1}"] == START + 20
        assert page["wayside_run_exit_code{run=r1}"] == 0
    left = {"wayside_run_end_timestamp_seconds{run=r1}": START + 20, "wayside_name_collisions_total{}": 0}
    assert desk.scrape() == left
    assert desk.scrape() == left
    assert desk.board.size == len(left)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0], 0), ([0, 3], 3), ([None, 3], 3), ([0, None], None), ([2, 1], 2), (["x", 0], None), ([True, 0], None)],
)
def test_the_exit_code_is_the_first_failure(codes: list[int | None], expected: int | None) -> None:
    """A run failed when any rank did; a rank that ended without a code (it crashed) leaves it unknown, never 0."""
    desk = Desk()
    first, second = ranks(2)
    desk.log(first, {"loss": 1.0})
    desk.tell(second, "about", {})
    for session, code in zip((first, second), codes, strict=True):
        desk.finish(session, code)
        desk.scrape()
        desk.clock.forward(1)
    found = desk.scrape("run_exit_code")
    assert found == ({} if expected is None else {"wayside_run_exit_code{run=r1}": expected})


def test_a_session_given_up_after_its_finish_keeps_its_exit_code() -> None:
    """A session's own finish knows how it ended; that the collector lost it afterwards tells nothing new. The other
    way round, the session's word replaces the collector's guess.
    """
    for codes, expected in (((3, None), 3), ((None, 3), 3)):
        desk = Desk()
        (session,) = ranks(1)
        for code in codes:
            desk.finish(session, code)
        assert desk.scrape("run_exit_code") == {"wayside_run_exit_code{run=r1}": expected}


def test_a_new_session_opens_an_ended_run_again() -> None:
    """A restarted run shows no end; what its last attempt logged and this one has not goes after two scrapes."""
    desk = Desk()
    (first,) = ranks(1, started=START)
    desk.log(first, {"loss": 1.0, "eval/loss": 2.0}, step=9)
    desk.tell(first, "alert", {"level": "WARN"})
    desk.finish(first, None)
    desk.scrape()
    (second,) = ranks(1, started=START + 100, attempt="1.0")
    desk.log(second, {"loss": 3.0}, step=4)
    page = desk.scrape()
    assert page["wayside_loss{rank=0,run=r1}"] == 3.0
    assert page["wayside_eval_loss{rank=0,run=r1}"] == 2.0
    assert page["wayside_run_last_step{rank=0,run=r1}"] == 4
    assert not [name for name in page if name.startswith(("wayside_run_end", "wayside_run_exit"))]
    page = desk.scrape()
    assert "wayside_eval_loss{rank=0,run=r1}" not in page
    assert page["wayside_loss{rank=0,run=r1}"] == 3.0
    assert page["wayside_run_alerts_total{level=WARN,run=r1}"] == 1
    assert page["wayside_run_start_timestamp_seconds{run=r1}"] == START
    assert "attempt=1.0" in next(name for name in page if name.startswith("wayside_run_info"))
    desk.restart()
    assert desk.scrape("run_start") == {"wayside_run_start_timestamp_seconds{run=r1}": START}
    desk.finish(second, 0)
    assert desk.scrape("run_exit_code") == {"wayside_run_exit_code{run=r1}": 0}


def test_an_attempt_that_ended_has_no_say_in_the_exit_code() -> None:
    """A run that goes on with fewer ranks ends as its last attempt did; the ranks it lost are not its failure."""
    desk = Desk()
    for session in ranks(2, started=START):
        desk.log(session, {"loss": 1.0})
        desk.finish(session, 1)
    (again,) = ranks(1, started=START + 5)
    desk.log(again, {"loss": 1.0})
    desk.finish(again, 0)
    assert desk.scrape("run_exit_code") == {"wayside_run_exit_code{run=r1}": 0}


def test_of_sessions_of_one_rank_the_last_to_end_has_the_exit_code() -> None:
    """A forked worker that failed did not end the run; the process that forked it knows how that went."""
    desk = Desk()
    main, worker = make_session(run="r1", started=START), make_session(run="r1", started=START + 5)
    desk.log(main, {"loss": 1.0})
    desk.log(worker, {"worker/loss": 1.0})
    desk.finish(worker, 3)
    desk.clock.forward(1)
    desk.finish(main, 0)
    assert desk.scrape("run_exit_code") == {"wayside_run_exit_code{run=r1}": 0}


def test_series_of_an_attempt_that_went_make_room() -> None:
    """What vanishes no longer counts for the run's limit."""
    desk = Desk(max_series_per_run=4)
    (first,) = ranks(1, started=START)
    desk.log(first, {f"a{i}": 1.0 for i in range(4)})
    desk.finish(first)
    (second,) = ranks(1, started=START + 5)
    desk.tell(second, "about", {})
    for _ in range(3):
        desk.scrape()
    desk.log(second, {f"b{i}": 1.0 for i in range(4)})
    assert len(desk.scrape("a", "b")) == 4


def test_a_row_after_the_finish_in_one_parcel_counts_too() -> None:
    """Whether a finish and a later row come in one parcel or in two, the session lives."""
    desk = Desk()
    (session,) = ranks(1)
    records = [make_event("finish", {"exit_code": None}, seq=0), *make_rows(1, {"loss": 1.0}, seq=1)]
    desk.board.take(session, records, desk.clock())
    assert desk.scrape("loss", "run_end") == {"wayside_loss{rank=0,run=r1}": 1.0}


def test_a_run_that_vanished_can_come_back() -> None:
    """A run that begins again after its series were gone is shown like any other, its totals going on."""
    desk = Desk()
    first, other = ranks(2)
    desk.log(first, {"loss": float("inf")})
    for session in (first, other):
        desk.tell(session, "alert", {"level": "error"})
    for session in (first, other):
        desk.finish(session)
    for _ in range(4):
        desk.scrape()
    (second,) = ranks(1, started=START + 100)
    desk.log(second, {"loss": 2.0})
    desk.tell(second, "alert", {"level": "ERROR"})
    page = desk.scrape()
    assert page["wayside_loss{rank=0,run=r1}"] == 2.0
    assert page["wayside_run_alerts_total{level=ERROR,run=r1}"] == 3
    assert page["wayside_run_nonfinite_total{original=loss,run=r1}"] == 1
    for _ in range(3):
        assert desk.scrape() == page


def test_the_newest_session_of_a_rank_has_the_series() -> None:
    """Two sessions of one rank never make two lines: the later started wins, whichever speaks last."""
    desk = Desk()
    old = make_session(run="r1", rank=0, started=START)
    new = make_session(run="r1", rank=0, started=START + 5)
    desk.log(old, {"loss": 1.0, "only/old": 1.0}, step=50)
    desk.log(new, {"loss": 2.0}, step=10)
    desk.log(old, {"loss": 3.0, "only/old": 4.0}, step=51)
    assert desk.scrape("loss", "only", "run_last_step") == {
        "wayside_loss{rank=0,run=r1}": 2.0,
        "wayside_only_old{rank=0,run=r1}": 4.0,
        "wayside_run_last_step{rank=0,run=r1}": 10,
    }


def test_an_ended_session_gives_way_to_an_older_one_that_lives() -> None:
    """A forked worker is a younger session; when it has ended, the process that forked it has its series again."""
    desk = Desk()
    main = make_session(run="r1", started=START)
    worker = make_session(run="r1", started=START + 5)
    desk.log(main, {"loss": 1.0}, step=1)
    desk.log(worker, {"loss": 2.0}, step=7)
    desk.finish(worker)
    desk.clock.forward(30)
    desk.log(main, {"loss": 3.0}, step=2)
    assert desk.scrape("loss", "run_last", "run_end") == {
        "wayside_loss{run=r1}": 3.0,
        "wayside_run_last_step{run=r1}": 2,
        "wayside_run_last_row_timestamp_seconds{run=r1}": START + 30,
    }


def test_workers_that_come_and_go_leave_nothing_behind() -> None:
    """A thousand forked workers of a run cost no more than one: each that ended and shows nothing is let go."""
    desk = Desk()
    main = make_session(run="r1", started=START)
    desk.log(main, {"loss": 1.0})
    for number in range(50):
        worker = make_session(run="r1", started=START + number)
        desk.log(worker, {"worker/loss": float(number)})
        desk.tell(worker, "alert", {"level": "INFO"})
        desk.finish(worker)
        desk.keep()
    assert len(desk.state) == 2
    assert desk.scrape("run_alerts", "worker")["wayside_run_alerts_total{level=INFO,run=r1}"] == 50


def test_rows_after_a_finish_mean_the_session_lives() -> None:
    """A session given up for crashed that goes on logging is shown, and its run is not ended."""
    desk = Desk()
    (session,) = ranks(1)
    desk.log(session, {"loss": 1.0})
    desk.finish(session, None)
    for _ in range(4):
        desk.scrape()
    desk.log(session, {"loss": 2.0})
    for _ in range(4):
        page = desk.scrape("loss", "run_end")
    assert page == {"wayside_loss{rank=0,run=r1}": 2.0}


def test_alerts_are_counted_by_level() -> None:
    """Each level stands at 0 from the start, so that the first alert is an increase; any other word is OTHER."""
    desk = Desk()
    (session,) = ranks(1)
    desk.log(session, {"loss": 1.0})
    assert set(desk.scrape("run_alerts").values()) == {0}
    for data in ({"level": "INFO"}, {"level": "warn"}, {}, {"level": 'x"\n'}, {"level": 7}):
        desk.tell(session, "alert", data)
    assert desk.scrape("run_alerts") == {
        "wayside_run_alerts_total{level=INFO,run=r1}": 2,
        "wayside_run_alerts_total{level=WARN,run=r1}": 1,
        "wayside_run_alerts_total{level=ERROR,run=r1}": 0,
        "wayside_run_alerts_total{level=OTHER,run=r1}": 2,
    }


def test_values_that_are_not_finite_are_shown_and_counted() -> None:
    """NaN and infinity stand on the page as such; the count is kept for so many metrics, then as `other`."""
    desk = Desk()
    (session,) = ranks(1)
    desk.log(session, {"loss": float("nan"), "grad": float("-inf"), "fine": 1.0})
    page = desk.scrape()
    assert str(page["wayside_loss{rank=0,run=r1}"]) == "nan"
    assert page["wayside_grad{rank=0,run=r1}"] == float("-inf")
    assert desk.scrape("run_nonfinite") == {
        "wayside_run_nonfinite_total{original=loss,run=r1}": 1,
        "wayside_run_nonfinite_total{original=grad,run=r1}": 1,
    }
    desk.log(session, {f"m{i}": float("inf") for i in range(100)})
    found = desk.scrape("run_nonfinite")
    assert len(found) == MAX_NONFINITE + 1
    assert found["wayside_run_nonfinite_total{original=other,run=r1}"] == 102 - MAX_NONFINITE
    assert sum(found.values()) == 102


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_run_has_a_limit_of_series(caplog: pytest.LogCaptureFixture) -> None:
    """Beyond `max_series_per_run` a series is not shown, is counted once, and the run is named once in the log."""
    desk = Desk(max_series_per_run=10)
    first, second = ranks(2)
    with caplog.at_level(logging.WARNING):
        desk.log(first, {f"m{i}": 1.0 for i in range(8)})
        for _ in range(3):
            taken = desk.log(second, {f"m{i}": 2.0 for i in range(8)})
    assert len(desk.scrape("m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7")) == 10
    assert desk.scrape("series_dropped") == {"wayside_series_dropped_total{reason=run_limit}": 6}
    assert taken.over_limit == 6
    assert [record.message for record in caplog.records if "r1" in record.message] == [
        "run r1: series are not shown on /metrics, the limits are 10 a run, 100000 in all (run_limit)"
    ]
    desk.log(make_session(run="r2"), {f"m{i}": 1.0 for i in range(8)})
    assert len(desk.scrape("m0", "m7")) == 5


def test_the_page_has_a_limit_of_series() -> None:
    """Beyond `max_series` no metric is added; ended runs make room, those that ended first going first."""
    desk = Desk(max_series=40)
    one, two = make_session(run="r1"), make_session(run="r2")
    desk.log(one, {f"a{i}": 1.0 for i in range(12)})
    desk.log(two, {f"b{i}": 1.0 for i in range(40)})
    assert desk.board.size <= 40 + 8
    assert desk.scrape("series_dropped")["wayside_series_dropped_total{reason=total_limit}"] > 0
    shown = len(desk.scrape("b"))
    desk.finish(one)
    desk.log(two, {f"b{i}": 2.0 for i in range(40)})
    page = desk.scrape("a", "b")
    assert not [name for name in page if name.startswith("wayside_a")]
    assert len(page) >= shown + 12


def test_only_so_many_ended_runs_are_kept() -> None:
    """End timestamps are kept for the last `ended_runs` runs, also when nobody scrapes."""
    desk = Desk(ended_runs=3)
    for number in range(10):
        session = make_session(run=f"r{number}")
        desk.log(session, {"loss": 1.0})
        desk.finish(session)
        desk.clock.forward(1)
        desk.keep()
    assert sorted(desk.scrape("run_end")) == [f"wayside_run_end_timestamp_seconds{{run=r{n}}}" for n in (7, 8, 9)]
    assert len(desk.scrape("loss")) == 3
    desk.scrape()
    assert desk.scrape("loss") == {}
    assert len(desk.keep()) == 3


def test_long_labels_are_cut() -> None:
    """No label is longer than `max_label_length`, and two runs whose ids begin alike stay two series."""
    desk = Desk(max_label_length=40)
    for ending in "ab":
        desk.log(make_session(run="r" * 100 + ending), {"loss": 1.0, "n" * 500: 2.0})
    page = desk.scrape("loss", "metric_name_info")
    assert len([name for name in page if name.startswith("wayside_loss")]) == 2
    assert all(len(value) <= 40 for name in page for value in name[:-1].replace(",", "=").split("=")[1::2])


# --- superseded ------------------------------------------------------------------------------------------------------


def test_a_value_that_no_scrape_saw_is_superseded() -> None:
    """Every value that another replaced before a scrape is counted, and none that was scraped."""
    desk = Desk()
    (session,) = ranks(1)
    assert desk.log(session, {"a": 1.0, "b": 1.0}).superseded == 0
    assert desk.log(session, {"a": 2.0}).superseded == 1
    desk.scrape()
    assert desk.log(session, {"a": 3.0, "b": 2.0}).superseded == 0
    assert desk.log(session, {"a": 4.0, "b": 3.0}).superseded == 2
    older = make_session(run="r1", rank=0, started=0.0)
    assert desk.log(older, {"a": 9.0}).superseded == 1
    desk.scrape()
    assert desk.log(older, {"a": 9.0}).superseded == 1
