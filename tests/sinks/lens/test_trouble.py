"""The Lens sink against the stand-in in trouble: what is tried again, what is refused, what is held."""

import asyncio
from pathlib import Path

import pytest
from sinks.lens.lens_bench import NOW, OTHER, POD_ONLY, SESSION, bench, refs, steps
from standins.lens_server import LensServer, Reply
from wayside_collector.sinks.base import Context, Parcel, Part, Step
from wayside_collector.sinks.lens import LensOptions, LensSink
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

# --- tried again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "uncertain", "stored"),
    [
        ("fail", True, []),
        ("fail late", True, [0, 1]),
        ("drop", True, [0, 1]),
        ("refuse", True, []),
        ("broken", True, [0, 1]),
        (Reply(429, headers={"Retry-After": "9"}), False, []),
        (Reply(503), False, []),
        (Reply(408), False, []),
        (Reply(401, b'{"code":401,"message":"authentication required"}'), False, []),
        (Reply(202, b"{}"), True, []),
        (Reply(200, b'{"meta":{"code":5000,"message":"Unknown error"}}'), True, []),
    ],
)
@pytest.mark.asyncio
async def test_trouble_is_tried_again_and_then_arrives(behaviour, uncertain, stored):
    """Whatever goes wrong on the way, nothing is claimed delivered, and the same parcel sent again arrives."""
    async with bench(LensServer(script=[behaviour])) as b:
        trouble = await b.retry(Part(SESSION, steps(2)))
        assert (trouble.uncertain, trouble.delivered) == (uncertain, frozenset())
        assert trouble.not_before == (NOW + 9 if isinstance(behaviour, Reply) and behaviour.status == 429 else None)
        assert b.lens.steps() == stored
        await b.send(Part(SESSION, steps(2)))
        assert sorted(b.lens.values("w1")) == [0, 1]


@pytest.mark.asyncio
async def test_no_answer_in_time_is_tried_again():
    """A Lens that hangs after taking the request may have stored it."""
    async with bench(LensServer(script=["hang"]), timeout=0.5) as b:
        trouble = await b.retry(Part(SESSION, steps(2)))
        assert trouble.uncertain
        patient = LensSink(LensOptions(endpoint=b.lens.base), environ={})
        await patient.open(Context("lens", Path(".")))
        await patient.send(make_parcel(SESSION, steps(2)))
        await patient.close()
        assert len(b.lens.rows["w1", 0].performance["history"]) == 1


@pytest.mark.asyncio
async def test_what_got_through_before_the_trouble_is_delivered():
    """When the third request fails, the steps of the first two are delivered and the rest is not."""
    async with bench(LensServer(script=["ok", "ok", "fail"])) as b:
        trouble = await b.retry(Part(SESSION, [make_event("summary", {}, seq=500), *steps(170)]))
        assert trouble.delivered == refs(SESSION, *range(100), 500)
        assert len(b.lens.requests) == 3


@pytest.mark.asyncio
async def test_a_server_that_goes_away_and_comes_back():
    """While Lens is away the rows wait, uncounted as uncertain; when it is back they arrive."""
    async with bench() as b:
        await b.send(Part(SESSION, steps(1)))
        await b.lens.stop()
        trouble = await b.retry(Part(SESSION, steps(1, 1)), Part(OTHER, steps(1)))
        if trouble.uncertain:  # the connection that was kept open breaks off first
            trouble = await b.retry(Part(SESSION, steps(1, 1)), Part(OTHER, steps(1)))
        assert str(trouble).endswith("no connection: Connection refused")  # asked once, not for each workload
        await b.lens.start()
        await b.send(Part(SESSION, steps(1, 1)))
        assert b.lens.steps() == [0, 1]


@pytest.mark.asyncio
async def test_a_cancelled_send_changes_nothing():
    """A send cancelled in mid-request leaves the sink as it was: the parcel is sent again and arrives whole."""
    system = make_session(kind="system", run="collector", host="h")
    sample = Part(system, [make_rows(1, {"gpu/0/utilization_ratio": 0.5})[0]], (SESSION,))
    config = make_event("config", {"set": {"max_steps": 10}}, seq=9)
    parts = [sample, Part(SESSION, [config, *steps(1)])]
    async with bench(LensServer(script=["hang"]), system=True) as b:
        sending = asyncio.create_task(b.sink.send(Parcel(parts)))
        await asyncio.wait_for(b.lens.arrived.wait(), 5)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert not b.counted
        await b.send(*parts)
        assert b.lens.values("w1")[0] == {"train/loss": 1.0, "_primus_gpu_0_util": 50.0, "target_iteration": 10.0}


# --- several workloads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", ["fail", "drop", Reply(400, b'{"meta":{"message":"no valid workload found"}}')])
@pytest.mark.asyncio
async def test_trouble_of_one_workload_does_not_hold_another(behaviour):
    """When the first workload's push fails, the second's is sent all the same and told as delivered; and the pump is
    told that the trouble is no other run's.
    """
    async with bench(LensServer(script=[behaviour])) as b:
        trouble = await b.retry(Part(SESSION, steps(120)), Part(OTHER, steps(2)))
        assert SESSION.run.id in trouble.runs
        assert trouble.delivered == refs(OTHER, 0, 1)
        assert sorted(b.lens.values("w2")) == [0, 1]
        assert len(b.lens.requests) == 2


@pytest.mark.parametrize("behaviour", [Reply(401), Reply(429), Reply(503), Reply(404), Reply(302)])
@pytest.mark.asyncio
async def test_trouble_of_the_server_ends_the_send(behaviour):
    """What every workload would be told is asked once, and every run waits."""
    lens = LensServer(script=[behaviour, behaviour])
    async with bench(lens) as b:
        trouble = await b.retry(Part(SESSION, steps(2)), Part(OTHER, steps(2)))
        assert trouble.runs == frozenset()
        assert trouble.delivered == frozenset()
        assert not b.lens.pushes


@pytest.mark.asyncio
async def test_a_server_that_keeps_breaking_off_is_left_alone():
    """One request without an answer may be its workload's fault; after two the send ends."""
    sessions = [make_session(f"r{i}", workload=f"w{i}") for i in range(5)]
    async with bench(LensServer(script=["drop"] * 5)) as b:
        trouble = await b.retry(*(Part(session, steps(1)) for session in sessions))
        assert len(b.lens.requests) == 2
        assert "(and 1 more)" in str(trouble)


@pytest.mark.asyncio
async def test_runs_that_share_a_workload_are_kept_apart_by_a_prefix():
    """With run_prefix two runs at one step of one workload both keep their values, where one would overwrite."""
    second = make_session("r2", workload="w1")
    async with bench(run_prefix="id") as b:
        await b.send(Part(SESSION, steps(1)), Part(second, [Step((0,), NOW, NOW, 0, {"train/loss": 7.0}, 1, False)]))
        assert b.lens.values("w1")[0] == {"r1/train/loss": 1.0, "r2/train/loss": 7.0}


# --- unknown workloads -----------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_pod_lens_learns_of_later_loses_nothing():
    """Lens looks pods up in a cache that is cold at first: its 400 is tried again until it knows the pod."""
    async with bench(LensServer(pods={"pod-3": ("w3",)}, cold=3)) as b:
        for _ in range(3):
            trouble = await b.retry(Part(POD_ONLY, steps(2)))
            assert "no valid workload found" in str(trouble)
            assert not trouble.uncertain
            b.monotonic.forward(100)
        await b.send(Part(POD_ONLY, steps(2)))
        assert sorted(b.lens.values("w3")) == [0, 1]


@pytest.mark.asyncio
async def test_a_workload_that_stays_unknown_is_refused_in_the_end():
    """After workload_wait the rows of that workload, and no others, are refused with the reason; later rows are asked
    for once more each, and taken when Lens has learned of it.
    """
    async with bench(LensServer(), workload_wait=600.0) as b:
        parts = [Part(POD_ONLY, steps(120)), Part(SESSION, steps(2))]
        assert (await b.retry(*parts)).delivered == refs(SESSION, 0, 1)
        b.monotonic.forward(599)
        await b.retry(parts[0])
        b.monotonic.forward(1)
        asked = len(b.lens.requests)
        refusal = await b.reject(*parts)
        assert refusal.rows == refs(POD_ONLY, *range(120))
        assert "no valid workload found for 600 s (option workload_wait)" in str(refusal)
        assert len(b.lens.requests) == asked + 2
        assert (await b.reject(Part(POD_ONLY, steps(1, 120)))).rows == refs(POD_ONLY, 120)
        b.lens.pods["pod-3"] = ("w3",)
        await b.send(Part(POD_ONLY, steps(1, 121)))
        b.lens.pods.clear()
        await b.retry(Part(POD_ONLY, steps(1, 122)))


@pytest.mark.parametrize("trouble", [Reply(503), "fail"])
@pytest.mark.asyncio
async def test_the_wait_begins_anew_when_lens_was_away(trouble):
    """A Lens that was away starts with a cold cache, so the time before does not count."""
    async with bench(LensServer(), workload_wait=600.0) as b:
        await b.retry(Part(POD_ONLY, steps(1)))
        b.monotonic.forward(700)
        b.lens.script = [trouble]
        await b.retry(Part(POD_ONLY, steps(1)))
        await b.retry(Part(POD_ONLY, steps(1)))


@pytest.mark.asyncio
async def test_a_session_without_any_identity_waits_and_says_what_is_missing():
    """Without workload and pod nothing is asked of Lens; the text says which option helps, and the rows are refused
    after the same wait.
    """
    nobody = make_session("r9")
    async with bench(workload_wait=10.0) as b:
        assert "set WORKLOAD_UID or the option workload_uid" in str(await b.retry(Part(nobody, steps(1))))
        b.monotonic.forward(10)
        assert (await b.reject(Part(nobody, steps(1)))).rows == refs(nobody, 0)
        assert not b.lens.requests


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [{0}, {37}, {49}, {99}, {10, 11, 90}])
@pytest.mark.asyncio
async def test_only_the_bad_rows_of_a_request_are_refused(bad):
    """A request that Lens cannot read is halved until the bad rows stand alone: exactly these are refused, all others
    arrive, in order.
    """
    async with bench(LensServer(malformed=lambda step, values: step in bad)) as b:
        refusal = await b.reject(Part(SESSION, steps(100)))
        assert refusal.rows == refs(SESSION, *bad)
        assert "400: invalid request format" in str(refusal)
        assert b.lens.steps() == [i for i in range(100) if i not in bad]
        assert b.counted["split"] <= 7 * len(bad)
        assert len(b.lens.requests) == 2 + 2 * b.counted["split"]


@pytest.mark.asyncio
async def test_a_bad_row_and_a_later_trouble():
    """When a bad row was found and then Lens fails, the good rows are delivered and the bad one is found again: a row
    is refused only in a send that ends with everything else delivered.
    """
    lens = LensServer(malformed=lambda step, values: step == 3)
    async with bench(lens) as b:
        lens.script = ["ok", Reply(503)]
        trouble = await b.retry(Part(SESSION, steps(4)))
        assert trouble.delivered == frozenset()
        refusal = await b.reject(Part(SESSION, steps(4)))
        assert refusal.rows == refs(SESSION, 3)
        assert b.lens.steps() == [0, 1, 2]


@pytest.mark.asyncio
async def test_a_bad_row_does_not_keep_its_sample():
    """A sample that a refused row had taken goes with the next step."""
    system = make_session(kind="system", run="collector", host="h")
    sample = Part(system, [make_rows(1, {"gpu/0/utilization_ratio": 0.5})[0]], (SESSION,))
    async with bench(LensServer(malformed=lambda step, values: step == 0), system=True) as b:
        await b.reject(sample, Part(SESSION, steps(2)))
        await b.send(Part(SESSION, steps(1, 2)))
        assert b.lens.values("w1")[2]["_primus_gpu_0_util"] == 50.0


@pytest.mark.asyncio
async def test_a_request_too_large_for_a_gateway_is_taken_apart():
    """A 413 on the way halves the request until it fits."""
    async with bench(LensServer(script=[Reply(413), Reply(413), "ok", "ok", "ok"])) as b:
        await b.send(Part(SESSION, steps(8)))
        assert [len(p.rows) for p in b.lens.pushes] == [2, 2, 4]
        assert b.counted == {"split": 2}


@pytest.mark.asyncio
async def test_rows_that_can_never_be_taken_are_refused_without_asking():
    """A step beyond 32 bits and a row without one are refused together with what Lens refuses, each reason told."""
    wide = Step((1,), NOW, NOW, 2**31, {"a": 1.0}, 1, False)
    stepless = make_rows(1, seq=2)[0]._replace(step=None)
    async with bench(LensServer(malformed=lambda step, values: step == 5)) as b:
        refusal = await b.reject(Part(SESSION, [*steps(1), wide, stepless, *steps(2, 5)]))
        assert refusal.rows == refs(SESSION, 1, 2, 5)
        assert all(text in str(refusal) for text in ("out of that range", "no step", "invalid request format"))
        assert b.lens.steps() == [0, 6]


@pytest.mark.asyncio
async def test_a_pod_of_two_workloads_that_takes_in_part_is_counted():
    """When only some of a pod's workloads stored the steps, Lens says success, and the difference is counted."""
    body = b'{"meta":{"code":2000,"message":"OK"},"data":{"workloads_count":2,"success_count":1}}'
    async with bench(LensServer(script=[Reply(200, body)])) as b:
        await b.send(Part(POD_ONLY, steps(1)))
        assert b.counted == {"partial": 1}
