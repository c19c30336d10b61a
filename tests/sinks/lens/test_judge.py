"""What Lens's answers mean."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.sinks.http import Answer
from wayside_collector.sinks.lens.judge import Judgement, judge

NOW = 1_767_225_600.0
URL = "http://lens/v1/wandb/metrics"


def enveloped(status: int, code: object, message: str = "", data: object = None) -> Judgement:
    body = {"meta": {"code": code, "message": message}, "data": data, "tracing": None}
    return judge(Answer(status, {}, json.dumps(body).encode()), URL, NOW)


def plain(status: int, body: bytes, **headers: str) -> Judgement:
    return judge(Answer(status, headers, body), URL, NOW)


@pytest.mark.parametrize("body", [b'{"meta":{"code":2000}}', b'{"meta":{"code":0}}', b'{"meta":{}}', b"{}"])
def test_only_200_with_a_good_code_is_taken(body):
    """HTTP 200 with code 2000, 0 or none is success."""
    assert plain(200, body).verdict == "taken"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b'"OK"', b'{"meta":', b"\xff\xfe", b"[" * 60000, b'{"meta":{"code":2000}}x'],
)
def test_200_with_a_broken_body_is_uncertain(body):
    """A 200 whose body is no envelope may come from anyone on the way, or from a Lens that broke off."""
    judged = plain(200, body)
    assert (judged.verdict, judged.uncertain) == ("again", True)
    assert "endpoint leads to Lens" in judged.message


def test_200_with_a_cut_body_is_uncertain():
    """An answer longer than the limit is none of Lens's."""
    assert judge(Answer(200, {}, b"{}", cut=True), URL, NOW).verdict == "again"


@pytest.mark.parametrize("status", [201, 202, 204])
def test_another_success_is_not_lenss(status):
    """Lens answers 200; whoever answers otherwise is not Lens, and the rows wait."""
    assert plain(status, b"{}")[:4] == ("again", plain(status, b"{}").message, None, True)


@pytest.mark.parametrize(
    ("code", "verdict", "everywhere"),
    [
        (4001, "refused", False),
        (400, "refused", False),
        (5001, "refused", False),
        (4004, "unknown", False),
        (4003, "again", True),
        (4005, "again", True),
        (5003, "again", True),
        (5000, "again", False),
        (5002, "again", False),
        (True, "again", False),
        ("2000", "again", False),
        (2000.5, "again", False),
    ],
)
def test_200_with_an_error_code_is_an_error(code, verdict, everywhere):
    """Later versions answer 200 and put the error into the envelope, where it is found."""
    judged = enveloped(200, code, "what it says")
    assert (judged.verdict, judged.everywhere) == (verdict, everywhere)
    assert "what it says" in judged.message


@pytest.mark.parametrize("message", ["no valid workload found", "either workload_uid or pod_name is required"])
def test_an_unknown_workload_is_told_from_a_malformed_request(message):
    """Both are 400: the one is a matter of time, the other of the rows."""
    assert enveloped(400, 400, message).verdict == "unknown"
    assert enveloped(400, 400, "invalid request format").verdict == "refused"


def test_a_failed_store_may_have_stored_some():
    """500 means that a step failed; others of the request may be stored, and the next workload may fare better."""
    judged = enveloped(500, 500, "failed to process metrics", {})
    assert (judged.verdict, judged.uncertain, judged.everywhere) == ("again", True, False)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 407, 408, 429, 502, 503, 504])
def test_what_every_workload_would_be_told_ends_the_send(status):
    """A server that is away, busy or locked is so for every workload."""
    judged = plain(status, b'{"code":401,"message":"authentication required"}')
    assert (judged.verdict, judged.everywhere) == ("again", True)


def test_retry_after_is_passed_on():
    """A Lens behind a gateway that asks for patience gets it."""
    assert plain(503, b"", **{"Retry-After": "30"}).not_before == NOW + 30


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_another_4xx_is_refused(status):
    """Whatever else is wrong with a request, its rows are looked at one by one."""
    judged = plain(status, b"too <large>")
    assert (judged.verdict, judged.message) == ("refused", f"{URL} answered {status}: too <large>")


@pytest.mark.parametrize(("done", "asked", "partial"), [(1, 2, True), (2, 2, False), ("1", 2, False), (None, 2, False)])
def test_a_pod_of_several_workloads_is_taken_in_part(done, asked, partial):
    """Fewer successes than workloads is success all the same, and is told."""
    judged = enveloped(200, 2000, "OK", {"success_count": done, "workloads_count": asked})
    assert (judged.verdict, judged.partial) == ("taken", partial)


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)


@given(
    st.integers(100, 599),
    st.binary(max_size=40)
    | st.dictionaries(st.sampled_from(["meta", "code", "data"]), json_values).map(lambda v: json.dumps(v).encode()),
)
def test_every_answer_has_a_meaning(status, body):
    """No answer is too odd to be judged."""
    assert plain(status, body).verdict in ("taken", "refused", "unknown", "again")
