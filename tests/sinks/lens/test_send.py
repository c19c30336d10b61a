"""The Lens sink against the stand-in: what arrives, and where."""

import json
from pathlib import Path

import pytest
from sinks.lens.lens_bench import NOW, SESSION, bench, steps
from standins.certificates import make_certificate
from standins.lens_server import LensServer, Reply
from wayside_collector.sinks.base import Context, Part, Retry, Step
from wayside_collector.sinks.lens import LensOptions, LensSink
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

# --- what arrives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("push", ["metrics", "logs"])
@pytest.mark.asyncio
async def test_steps_arrive_whole_in_order_fifty_a_request(push):
    """Every step arrives once with its values and its time, in order, at most fifty steps a request, one at a time."""
    async with bench(push=push) as b:
        await b.send(Part(SESSION, [*steps(120)]))
        assert b.lens.values("w1") == {i: {"train/loss": 1.0 / (1 + i)} for i in range(120)}
        assert b.lens.steps() == list(range(120))
        assert [len(p.rows) for p in b.lens.pushes] == [50, 50, 20]
        assert {p.path for p in b.lens.pushes} == {push}
        assert b.lens.rows["w1", 7].created_at == NOW + 7
        assert b.lens.most_in_flight == {"w1": 1}
        assert not b.counted


@pytest.mark.asyncio
async def test_a_request_is_json_with_a_user_agent_of_our_own():
    """Lens and whoever stands before it can tell who is asking, and extra headers come along."""
    async with bench(headers={"Cookie": "sid=1"}, lens=LensServer(cookie="sid=1")) as b:
        await b.send(Part(SESSION, steps(1)))
        path, headers, body = b.lens.requests[0]
    assert path == "/v1/wandb/metrics"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("wayside-collector/")
    assert "Content-Encoding" not in headers
    assert json.loads(body)["run_id"] == "r1"


@pytest.mark.asyncio
async def test_the_same_parcel_twice_changes_no_value():
    """A parcel sent again after a crash leaves the same values; only Lens's own history shows it."""
    async with bench() as b:
        await b.send(Part(SESSION, steps(3)))
        before = b.lens.values("w1")
        await b.send(Part(SESSION, steps(3)))
        assert b.lens.values("w1") == before
        assert len(b.lens.rows["w1", 1].performance["history"]) == 1


@pytest.mark.asyncio
async def test_a_late_step_is_merged_into_its_step():
    """Rows that come after their step was pushed are pushed again alone, and the step then holds both."""
    async with bench(ensure_tflops=True) as b:
        await b.send(Part(SESSION, [Step((0,), NOW, NOW, 1, {"a": 1.0, "tflops": 5.0}, 2, False)]))
        await b.send(Part(SESSION, [Step((1,), NOW + 9, NOW + 9, 1, {"b": 2.0}, 1, True)]))
        assert b.lens.values("w1") == {1: {"a": 1.0, "b": 2.0, "tflops": 5.0}}
        assert b.lens.rows["w1", 1].created_at == NOW


@pytest.mark.asyncio
async def test_what_lens_cannot_store_is_left_out_or_renamed():
    """NaN is left out and counted, reserved names and NULs do no harm, and the rest of the row arrives."""
    values = {"loss": float("nan"), "step": 9.0, "history": 1.0, "a\0b": 2.0, "iteration": 3.0}
    async with bench() as b:
        await b.send(Part(SESSION, [Step((0,), NOW, NOW, 4, values, 5, False)]))
        await b.send(Part(SESSION, [Step((0,), NOW, NOW, 4, values, 5, False)]))
        assert b.lens.values("w1") == {
            4: {"metric/step": 9.0, "metric/history": 1.0, "ab": 2.0, "metric/iteration": 3.0}
        }
        assert b.lens.rows["w1", 4].performance["step"] == 4
        assert b.counted == {"nonfinite": 2}


@pytest.mark.asyncio
async def test_a_sample_goes_with_the_next_step_that_is_taken():
    """A sample stays kept until a step that took it is stored: a failed push gives it back."""
    system = make_session(kind="system", run="collector", host="h")
    sample = Part(system, [make_rows(1, {"gpu/0/utilization_ratio": 0.5})[0]], (SESSION,))
    async with bench(system=True) as b:
        await b.send(sample)
        assert len(b.state) == 1
        b.lens.script = ["fail"]
        await b.retry(Part(SESSION, steps(1)))
        assert len(b.state) == 1
        await b.send(Part(SESSION, steps(2)))
        assert b.state == {}
        assert b.lens.values("w1") == {0: {"train/loss": 1.0, "_primus_gpu_0_util": 50.0}, 1: {"train/loss": 0.5}}


@pytest.mark.asyncio
async def test_the_kept_state_comes_back_when_opened():
    """After a restart the sink goes on from what was committed."""
    async with bench() as b:
        await b.send(Part(SESSION, [make_event("config", {"set": {"max_steps": 10}}, seq=0)]))
        again = LensSink(LensOptions(endpoint=b.lens.base), environ={})
        await again.open(Context("lens", Path("."), b.state))
        await again.send(make_parcel(SESSION, steps(1)))
        await again.close()
        assert b.lens.values("w1")[0]["target_iteration"] == 10.0


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("listens", "told"), [("/v1", "/api/v1"), ("/api/v1", "/v1")])
@pytest.mark.asyncio
async def test_the_documented_address_leads_to_the_real_one(listens, told):
    """Where /api/v1 is a 404, /v1 is tried, and the other way round; what answered is remembered."""
    async with bench(LensServer(prefix=listens), path=f"{told}/") as b:
        await b.send(Part(SESSION, steps(1)))
        await b.send(Part(SESSION, steps(1, 1)))
        paths = [path for path, _, _ in b.lens.requests]
    assert paths == [f"{told}/wandb/metrics", *[f"{listens}/wandb/metrics"] * 2]


@pytest.mark.asyncio
async def test_an_address_with_nothing_behind_it_waits():
    """Where neither address leads anywhere the rows wait, and the text names both; where there is no other, one."""
    async with bench(LensServer(prefix="/lens")) as b:
        base = b.lens.origin
        for endpoint, texts in (
            (f"{base}/v1", ["/v1/wandb", f"nor is there anything at {base}/api/v1"]),
            (base, ["check"]),
        ):
            sink = LensSink(LensOptions(endpoint=endpoint), environ={})
            await sink.open(Context("lens", Path(".")))
            with pytest.raises(Retry) as caught:
                await sink.send(make_parcel(SESSION, steps(1)))
            await sink.close()
            assert all(text in str(caught.value) for text in texts)
        assert len(b.lens.requests) == 3


@pytest.mark.asyncio
async def test_a_redirect_is_told():
    """A redirect is not followed and names where it led."""
    async with bench(LensServer(script=[Reply(307, headers={"Location": "http://elsewhere/"})])) as b:
        trouble = await b.retry(Part(SESSION, steps(1)))
    assert "redirects to http://elsewhere/" in str(trouble)


@pytest.mark.asyncio
async def test_tls_by_the_named_authority_only(tmp_path):
    """A Lens with a self-signed certificate is refused by default, and accepted with ca_file."""
    made = make_certificate(tmp_path)
    async with bench(LensServer(tls=made.server_context())) as b:
        assert "set ca_file" in str(await b.retry(Part(SESSION, steps(1))))
        assert not b.lens.requests
        trusting = LensSink(LensOptions(endpoint=b.lens.base, ca_file=str(made.cert)), environ={})
        await trusting.open(Context("lens", Path(".")))
        await trusting.send(make_parcel(SESSION, steps(1)))
        await trusting.close()
        assert b.lens.steps() == [0]


# --- life ------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_close_is_safe_at_any_time():
    """Close without open, and twice, does not raise; a sink can be opened again."""
    async with bench() as b:
        sink = LensSink(LensOptions(endpoint=b.lens.base), environ={})
        await sink.close()
        await sink.open(Context("lens", Path(".")))
        await sink.close()
        await sink.close()
        await sink.open(Context("lens", Path(".")))
        await sink.send(make_parcel(SESSION, steps(1)))
        await sink.close()
        assert b.lens.steps() == [0]


@pytest.mark.asyncio
async def test_a_missing_file_is_retried_when_opening():
    """An option that names a file that is not there fails `open` until it is."""
    sink = LensSink(LensOptions(endpoint="https://lens/v1", ca_file="/nowhere/ca.pem"), environ={})
    with pytest.raises(Retry, match=r"ca_file: /nowhere/ca\.pem"):
        await sink.open(Context("lens", Path(".")))
    await sink.close()


@pytest.mark.asyncio
async def test_an_empty_parcel_needs_no_request():
    """Events and an empty parcel are done at once."""
    async with bench() as b:
        await b.send()
        await b.send(Part(SESSION, [make_event("alert", {"title": "x"}, seq=0)]))
        assert not b.lens.requests
