"""What is to be sent of a parcel, and what the sink keeps between parcels."""

import json
import math

import pytest
from wayside_collector.session import Pod, Primus
from wayside_collector.sinks.base import Parcel, Part, Step
from wayside_collector.sinks.lens import LensOptions
from wayside_collector.sinks.lens.kept import MAX_KEPT, MAX_TOTALS, Kept, give_back, take_config, target
from wayside_collector.sinks.lens.plan import NO_STEP, OUT_OF_RANGE, Plan, leaves_out, make_plan
from wayside_collector.sinks.primus_samples import primus_sample
from wayside_collector.testing import make_event, make_rows, make_session

NOW = 1_767_225_600.0
SESSION = make_session(workload="w1", pod=Pod(name="pod-0"), host="h")
COLLECTOR = make_session(kind="system", run="collector", host="h")
SAMPLE = {"host/cpu_utilization_ratio": 0.25, "gpu/0/utilization_ratio": 0.5, "gpu/0/temperature_celsius": 60.0}


def planned(*parts: Part, kept: Kept | None = None, **options: object) -> Plan:
    return make_plan(Parcel(list(parts)), LensOptions(endpoint="http://lens/v1", **options), kept or Kept({}), NOW)


def step(number: int, metrics: dict[str, float], *, seqs: tuple[int, ...] = (0,), late: bool = False) -> Step:
    return Step(seqs, NOW, NOW + 1, number, metrics, len(metrics), late)


def sent(plan: Plan) -> list[tuple[int, dict[str, float]]]:
    return [(push.step, push.values) for pushes in plan.pushes.values() for push in pushes]


def sample(metrics: dict[str, float] | None = None, *runs: object) -> Part:
    rows = make_rows(1, metrics or SAMPLE)
    return Part(COLLECTOR, [rows[0]._replace(step=None)], tuple(runs or (SESSION,)))


# --- steps -----------------------------------------------------------------------------------------------------------


def test_a_step_is_pushed_with_the_time_of_its_first_row():
    """A step stands at the time it was first logged, as every tracker shows it."""
    (push,) = next(iter(planned(Part(SESSION, [step(7, {"loss": 1.0}, seqs=(3, 4))])).pushes.values()))
    assert (push.step, push.time, push.values) == (7, NOW, {"loss": 1.0})
    assert push.refs == {(SESSION.id, 3), (SESSION.id, 4)}


def test_values_that_are_not_finite_are_left_out_and_counted():
    """NaN and infinity would refuse the whole request, so they stay behind while the rest of the row goes."""
    plan = planned(Part(SESSION, [step(1, {"loss": math.nan, "lr": 0.1, "norm": math.inf})]))
    assert sent(plan) == [(1, {"lr": 0.1})]
    assert [push.nonfinite for push in next(iter(plan.pushes.values()))] == [2]


def test_a_step_without_any_finite_value_needs_no_request():
    """A step of which nothing is left is done, its points counted."""
    plan = planned(Part(SESSION, [step(1, {"loss": math.nan})]), ensure_tflops=True, target_iteration=5)
    assert (sent(plan), plan.delivered, plan.counts["nonfinite"]) == ([], {(SESSION.id, 0)}, 1)


def test_names_that_become_one_are_counted():
    """Two names that differ by a NUL only are one in Lens: the later value is sent, and the loss counted."""
    (push,) = next(iter(planned(Part(SESSION, [step(1, {"a": 1.0, "a\0": 2.0})])).pushes.values()))
    assert (push.values, push.collided) == ({"a": 2.0}, 1)


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 2**62])
def test_a_step_beyond_32_bits_is_refused_and_nothing_else(number):
    """Lens would wrap the step in silence, so only this row is refused, with the reason."""
    plan = planned(Part(SESSION, [step(1, {"a": 1.0}), step(number, {"a": 1.0}, seqs=(1, 2)), step(3, {"a": 1.0})]))
    assert plan.refused == {OUT_OF_RANGE: {(SESSION.id, 1), (SESSION.id, 2)}}
    assert [number for number, _ in sent(plan)] == [1, 3]


def test_a_row_without_a_step_is_refused():
    """Lens has no place for it, and a step made up here would be a lie."""
    row = make_rows(1)[0]._replace(step=None)
    assert planned(Part(SESSION, [row])).refused == {NO_STEP: {(SESSION.id, 0)}}


@pytest.mark.parametrize("time", [math.nan, -1.0, 1e300])
def test_a_time_that_cannot_be_kept_becomes_now_and_is_counted(time):
    """A row whose time Lens cannot store would fail for ever: it stands at the time of the push."""
    (push,) = next(iter(planned(Part(SESSION, [make_rows(1)[0]._replace(time=time)])).pushes.values()))
    assert (push.time, push.untimed) == (NOW, True)


def test_texts_are_never_sent():
    """Lens would read a text as 0, so events are done without a request."""
    text = make_event("text", {"values": {"note": "hello"}}, seq=5)
    plan = planned(Part(SESSION, [text, make_event("summary", {"set": {"best": 1}}, seq=6)]))
    assert (sent(plan), plan.delivered) == ([], {(SESSION.id, 5), (SESSION.id, 6)})


def test_workloads_and_runs_have_requests_of_their_own():
    """What a request says of its sender is true of all its rows."""
    other, second = make_session("r1", workload="w2"), make_session("r2", workload="w1", pod=Pod(name="pod-0"))
    plan = planned(*(Part(session, [step(1, {"a": 1.0})]) for session in (SESSION, other, second)))
    assert [(h.workload_uid, h.run_id) for h in plan.pushes] == [("w1", "r1"), ("w2", "r1"), ("w1", "r2")]


# --- what the sink adds ----------------------------------------------------------------------------------------------


def test_tflops_is_added_where_there_is_none():
    """ensure_tflops adds a number, the run's own under whatever folder, and never replaces one."""
    rows = [
        step(1, {"a": 1.0}),
        step(2, {"tflops": 3.0}),
        step(3, {"perf/TFLOPS": 4.0}),
        step(4, {"tflops": math.inf, "b": 1.0}),
    ]
    plan = planned(Part(SESSION, rows), ensure_tflops=True)
    assert [values["tflops"] for _, values in sent(plan)] == [0.0, 3.0, 4.0, 0.0]


def test_nothing_is_added_to_a_late_step_or_by_another_rank():
    """Lens merges: an added value pushed later would overwrite the true one of the first push."""
    late, first = Part(SESSION, [step(1, {"a": 1.0}, late=True)]), step(1, {"a": 1.0})
    everything = {"ensure_tflops": True, "target_iteration": 9}
    assert sent(planned(late, **everything)) == [(1, {"a": 1.0})]
    assert sent(planned(Part(SESSION, [first], (), False), **everything)) == [(1, {"a": 1.0})]
    assert sent(planned(Part(SESSION, [first]), **everything)) == [
        (1, {"a": 1.0, "target_iteration": 9.0, "tflops": 0.0})
    ]


@pytest.mark.parametrize(
    ("config", "last"),
    [
        ({"max_steps": 500}, 500),
        ({"trainer": {"max_steps": 500}}, 500),
        ({"trainer/max_steps": 500.0}, 500),
        ({"Trainer.Max_Steps": 500}, 500),
        ({"training": {"steps": 70}}, 70),
        ({"total_steps": 9, "train_iters": 5}, 5),
        ({"optimizer": {"total_steps": 9}, "total_steps": 10}, 10),
        ({"max_steps": -1, "num_train_steps": 40}, 40),
        ({"max_steps": True, "max_iters": "many"}, None),
        ({"max_steps": math.nan}, None),
        ({"max_steps": 2**31}, None),
        ({"steps": 5, "eval": {"steps": 7}}, None),
        ({"a": {"b": {"c": {"d": {"e": {"max_steps": 1}}}}}}, None),
        ({}, None),
    ],
)
def test_the_last_step_is_found_in_a_runs_config(config, last):
    """Well-known names are found wherever they stand, the surest and shallowest first, and only if they can be one."""
    kept = Kept({})
    take_config(kept, "r1", {"set": config})
    assert target(kept, "r1") == last
    assert target(kept, "r2") is None


def test_a_config_may_change_and_its_keys_go():
    """Later values replace earlier ones, and what is removed from the config is forgotten with all below it."""
    kept = Kept({})
    take_config(kept, "r1", {"set": {"trainer": {"max_steps": 5}, "total_steps": 7}})
    take_config(kept, "r1", {"set": {"trainer": {"max_steps": 6}}, "remove": []})
    assert target(kept, "r1") == 6
    take_config(kept, "r1", {"remove": ["trainer"]})
    assert target(kept, "r1") == 7
    take_config(kept, "r1", {"set": None, "remove": None})
    assert target(kept, "r1") == 7


def test_the_config_is_kept_with_the_cursor():
    """What a later send needs of an earlier one's config is in its changes, and works from there."""
    kept = Kept({})
    planned(Part(SESSION, [make_event("config", {"set": {"max_steps": 50}}, seq=0)]), kept=kept)
    again = Kept({key: value for key, value in kept.changes.items() if value is not None})
    assert sent(planned(Part(SESSION, [step(1, {"a": 1.0})]), kept=again)) == [
        (1, {"a": 1.0, "target_iteration": 50.0})
    ]
    assert (
        sent(planned(Part(SESSION, [step(1, {"a": 1.0})]), kept=again, target_iteration=8))[0][1]["target_iteration"]
        == 8
    )


def test_a_finished_run_is_forgotten():
    """The end of a run's primary session clears what was kept of it, and of no other run."""
    kept = Kept({})
    other = make_session("r1/x", workload="w2")
    config = make_event("config", {"set": {"max_steps": 50}}, seq=0)
    finish = make_event("finish", {"exit_code": 0}, seq=9)
    planned(Part(SESSION, [config]), Part(other, [config]), sample(SAMPLE, SESSION, other), kept=kept, system=True)
    assert len([value for value in kept.changes.values() if value]) == 4
    planned(Part(SESSION, [finish], (), False), kept=kept)
    assert target(kept, "r1") == 50
    planned(Part(SESSION, [finish]), kept=kept)
    assert [key.split("/")[1] for key, value in kept.changes.items() if value] == ["r1%2Fx", "r1%2Fx"]


# --- samples ---------------------------------------------------------------------------------------------------------


def test_samples_have_primuss_names_and_units():
    """Ratios become percent, bytes MiB, and what Primus has no name for is counted as left out."""
    values, left_out = primus_sample(
        {
            "host/cpu_utilization_ratio": 0.25,
            "host/cpu_busiest_core_utilization_ratio": 1.0,
            "host/memory_utilization_ratio": 0.5,
            "host/memory_total_bytes": 1000.0,
            "gpu/11/utilization_ratio": 1.0,
            "gpu/11/memory_used_bytes": 3.0 * 2**20,
            "gpu/11/memory_utilization_ratio": 0.1,
            "gpu/0/process/12/memory_used_bytes": 5.0,
            "gpu/0/mig/1/memory_used_bytes": 5.0,
            "gpu/0/utilization_ratio": math.nan,
        }
    )
    assert values == {
        "_primus_sys_cpu_percent": 25.0,
        "_primus_sys_memory_percent": 50.0,
        "_primus_gpu_11_util": 100.0,
        "_primus_gpu_11_mem_used_mb": 3.0,
    }
    assert left_out == 6


def test_the_latest_sample_goes_with_the_next_step_only():
    """Samples wait, the latest value of each name winning, until one step takes them."""
    later = sample({"gpu/0/utilization_ratio": 0.75})
    plan = planned(sample(), later, Part(SESSION, [step(1, {"a": 1.0}), step(2, {"a": 1.0})]), system=True)
    assert sent(plan) == [
        (1, {"a": 1.0, "_primus_sys_cpu_percent": 25.0, "_primus_gpu_0_util": 75.0}),
        (2, {"a": 1.0}),
    ]
    assert (plan.counts["system_left_out"], plan.counts["system_superseded"]) == (1, 1)
    assert len(plan.delivered) == 1


def test_a_sample_outlives_a_restart():
    """A sample that no step took is in the changes, and goes with a step after a restart."""
    kept = Kept({})
    planned(sample(), kept=kept, system=True)
    again = Kept({key: value for key, value in kept.changes.items() if value is not None})
    assert sent(planned(Part(SESSION, [step(1, {"a": 1.0})]), kept=again))[0][1]["_primus_gpu_0_util"] == 50.0
    assert list(again.changes.values()) == [None]


def test_a_sample_is_of_its_own_pod():
    """Primus's names do not tell the pod, so a step takes only what was measured beside it."""
    elsewhere = make_session(workload="w1", pod=Pod(name="pod-1"), host="h")
    plan = planned(sample(SAMPLE, elsewhere), Part(SESSION, [step(1, {"a": 1.0})]), system=True)
    assert sent(plan) == [(1, {"a": 1.0})]


def test_a_logged_value_wins_over_a_sample():
    """What the run logs itself under one of Primus's names is kept."""
    plan = planned(sample(), Part(SESSION, [step(1, {"_primus_gpu_0_util": 1.0})]), system=True)
    assert sent(plan)[0][1]["_primus_gpu_0_util"] == 1.0


@pytest.mark.parametrize(("system", "runs"), [(False, (SESSION,)), (True, ())])
def test_samples_nobody_wants_are_left_out_and_counted(system, runs):
    """Without the option, or with no run open, samples are done and counted, and nothing is kept."""
    kept = Kept({})
    part = Part(COLLECTOR, make_rows(2, SAMPLE), runs)
    plan = planned(part, kept=kept, system=system)
    assert (plan.counts["system_left_out"], plan.pushes, dict(kept.changes)) == (6, {}, {})
    assert plan.delivered == {(COLLECTOR.id, 0), (COLLECTOR.id, 1)}


def test_what_is_given_back_waits_below_what_is_newer():
    """A sample whose step was not sent waits again, without hiding a newer one."""
    kept = Kept({"sample/r1/h": json.dumps({"a": 2.0}).encode()})
    assert give_back(kept, ("sample/r1/h", json.dumps({"a": 1.0, "b": 1.0}).encode())) == 1
    assert json.loads(kept.get("sample/r1/h") or b"") == {"a": 2.0, "b": 1.0}


# --- limits ----------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_bounded():
    """Beyond the limit the oldest goes, counted; a config full of likely names keeps a few."""
    kept = Kept({f"old/{i}": b"" for i in range(MAX_KEPT)})
    take_config(kept, "r1", {"set": {f"g{i}": {"max_steps": i + 1} for i in range(100)}})
    assert (kept.dropped, kept.get("old/0"), kept.changes["old/0"]) == (1, None, None)
    assert len(json.loads(kept.get("target/r1") or b"")) == MAX_TOTALS


# --- what the run's user asks ----------------------------------------------------------------------------------------


def test_who_wants_no_lens():
    """Such a session is left out, for a reason, and no hardware is kept for it either."""
    silent = make_session(workload="w2", primus=Primus(reporting=False), host="h")
    options = LensOptions(endpoint="http://lens/v1")
    assert (leaves_out(silent, options), leaves_out(SESSION, options)) == ("api_reporting", None)
    kept = Kept({})
    planned(sample(None, silent), kept=kept, system=True)
    assert kept.changes == {}
    planned(sample(None, silent, SESSION), kept=kept, system=True)
    assert len(kept.changes) == 1


@pytest.mark.parametrize(("asked", "steps"), [(None, 40), (10, 10), (41, 40), (-3, 1), (0, 40)])
def test_steps_of_one_request(asked: int | None, steps: int):
    """As many as the run's user wants, as far as the operator lets them."""
    session = make_session(workload="w1", primus=Primus(batch_size=asked))
    plan = planned(Part(session, [step(1, {"loss": 1.0})]), steps_per_request=40)
    assert list(plan.steps.values()) == [steps]
