"""What answers mean, a gateway's and those of whatever else may answer."""

import msgspec
import pytest
from wayside_collector.relay import Receipt
from wayside_collector.sinks.gateway import GatewayOptions
from wayside_collector.sinks.gateway.judge import judge
from wayside_collector.sinks.http import Answer

URL = "http://gateway:9750/api/v1/batches"


def signed(status: int, error: str | None = None, gateway: tuple[int, ...] = (1,), **headers: str) -> Answer:
    return Answer(status, headers, msgspec.json.encode(Receipt(list(gateway), error=error)))


def plain(status: int, body: bytes = b"<html>no</html>", **headers: str) -> Answer:
    return Answer(status, headers, body)


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        (signed(200), "taken", ""),
        (plain(200), "again", "no gateway wrote that: check that endpoint"),
        (plain(200, b"{}"), "again", "check that endpoint"),
        (signed(400, "this is no body"), "refused", "this is no body"),
        (plain(400), "again", "what stands before it"),
        (signed(422, "version 2", (7,)), "again", "version 2"),
        (plain(415), "again", "no gateway"),
        (plain(404), "again", "check endpoint"),
        (plain(401), "again", "credentials"),
        (signed(403), "again", "credentials"),
        (plain(413), "large", "413"),
        (signed(503, "the spool is all but full"), "again", "all but full"),
        (plain(502), "again", "502"),
        (plain(301, Location="http://elsewhere/"), "again", "redirects"),
    ],
)
def test_an_answer(answer: Answer, verdict: str, said: str) -> None:
    """Only a gateway's own word refuses rows; everything else is a reason to wait, in words that say what to do."""
    judged = judge(answer, URL, 1000.0)
    assert judged.verdict == verdict
    assert said in judged.message
    assert (judged.receipt is not None) == (verdict == "taken")


def test_when_to_come_again() -> None:
    """As the gateway says; and what may have been taken all the same is known to be uncertain."""
    judged = judge(signed(503, **{"Retry-After": "7"}), URL, 1000.0)
    assert (judged.not_before, judged.uncertain) == (1007.0, False)
    assert judge(plain(504), URL, 1000.0).uncertain
    assert judge(plain(200), URL, 1000.0).uncertain


def test_options_are_checked() -> None:
    """An address with our path in it is told."""
    assert GatewayOptions(endpoint="https://gateway:9750").check() == []
    assert "leave /api/v1" in GatewayOptions(endpoint="https://gateway:9750/api/v1/batches").check()[0]
    assert GatewayOptions(endpoint="gateway").check()[0].startswith("endpoint: ")
