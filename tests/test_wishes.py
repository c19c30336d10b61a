"""What a training's environment asks that the collector decides: said, and not followed."""

import logging
from typing import Any

import pytest
from wayside_collector.configuration.config import SinkConfig, build
from wayside_collector.session import ForWandb, Primus, Session
from wayside_collector.testing import make_session
from wayside_collector.wishes import MOST_TOLD, Wishes, answer, differences

LENS = {"lens": {"endpoint": "http://lens.primus:8989/v1"}}
WANDB = {"wandb": {"base_url": "https://wandb.corp"}}


def sinks(**given: Any) -> tuple[SinkConfig, ...]:
    return build({"sinks": given}, {}).sinks


def asking(endpoint: str | None = None, base_url: str | None = None, **more: Any) -> Session:
    wandb = ForWandb(base_url=base_url, **more.pop("wandb", {}))
    return make_session("r1", primus=Primus(endpoint=endpoint, **more.pop("primus", {})), wandb=wandb, **more)


@pytest.mark.parametrize(
    "url",
    [
        "http://lens.primus:8989/v1",
        "http://lens.primus:8989/api/v1/",
        "HTTP://LENS.primus:8989",
        "http://u:p@lens.primus:8989",
    ],
)
def test_the_same_place_is_no_difference(url: str) -> None:
    """However it is spelled: Lens answers at both its paths, and a user is no part of the place."""
    assert differences(asking(url), sinks(**LENS)) == []
    assert differences(asking(None, "https://wandb.corp/"), sinks(**WANDB)) == []


def test_another_place_is_said_and_what_counts() -> None:
    """The run, the variable, both addresses, and the option that decides; never a password."""
    (said,) = differences(asking("http://me:hunter2@other:1/v1"), sinks(**LENS))
    assert "run r1: its PRIMUS_LENS_API_BASE_URL is http://other:1/v1, which is not followed" in said
    assert "sinks.lens.endpoint (http://lens.primus:8989/v1)" in said
    assert "hunter2" not in said
    (said,) = differences(asking("http://other:1/v1"), sinks(jsonl={}))
    assert said.endswith("and this collector has no such sink: sinks.lens.endpoint")
    (said,) = differences(asking(None, "https://wandb.mine"), sinks(**WANDB))
    assert "WANDB_BASE_URL is https://wandb.mine" in said
    assert "sinks.wandb.base_url (https://wandb.corp)" in said
    (said,) = differences(asking(wandb={"verify_tls": False}), sinks(**WANDB))
    assert "sinks.wandb.verify_tls" in said
    assert differences(asking(wandb={"verify_tls": False}), sinks(wandb={"verify_tls": False})) == []


def test_who_wants_nothing_of_a_sink_is_not_told_of_it() -> None:
    """Lens that gets no report, W&B that the trainer uploads to itself or not at all, W&B that is not here."""
    far = "http://far:1"
    assert differences(asking(far, primus={"reporting": False}), sinks(**LENS)) == []
    assert differences(asking(None, far, origin="wandb"), sinks(**WANDB)) == []
    assert differences(asking(None, far, wandb={"mode": "offline", "verify_tls": False}), sinks(**WANDB)) == []
    assert differences(asking(None, far), sinks(jsonl={})) == []
    assert differences(asking(far), sinks(gateway={"endpoint": "http://gateway"})) == []  # who may have a Lens sink


def test_each_thing_is_logged_once_and_shown_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    """Eight ranks of a run are one line of the log; the status shows what is so now, and no more than a page of it."""
    wishes = Wishes(lambda: sinks(**LENS))
    ranks = [asking("http://other:1", rank=rank) for rank in range(8)]
    with caplog.at_level(logging.WARNING):
        for session in ranks:
            wishes.hear(session)
    assert len(caplog.records) == 1
    assert wishes.shown(ranks) == [caplog.records[0].getMessage()]
    assert wishes.shown([asking("http://lens.primus:8989")]) == []
    many = [asking(f"http://other-{number}:1") for number in range(MOST_TOLD + 9)]
    assert len(wishes.shown(many)) == MOST_TOLD


@pytest.mark.parametrize(
    ("configured", "has_key", "told"),
    [
        ({"gateway": {"endpoint": "http://far"}}, False, "gateway"),
        ({"jsonl": {}}, True, "no sink"),
        ({"wandb": {}}, False, "no key"),
        ({"wandb": {}}, True, "key"),
    ],
)
def test_whether_there_is_a_key_is_answered(configured: dict[str, Any], has_key: bool, told: str) -> None:
    """In a word, so that the client can tell its user where to put his; the key itself is no part of it."""
    assert answer(asking(), sinks(**configured), lambda name, options: has_key) == {"wandb": told}


@pytest.mark.parametrize(
    ("output", "options", "who"),
    [
        ("/mnt/out/a", {"layout": "primus", "outputs": ["/mnt/out"]}, "here"),
        ("/mnt/other", {"layout": "primus", "outputs": ["/mnt/out"]}, "there"),
        ("/mnt/out", {"layout": "primus"}, "there"),
        ("/mnt/out", {}, "there"),
    ],
)
def test_who_writes_the_files_is_answered(output: str, options: dict[str, Any], who: str) -> None:
    """A sink that is given the root; else the client does."""
    told = answer(asking(primus={"output": output}), sinks(jsonl=options), lambda name, options: True)
    assert told == {"wandb": "no sink", "output": who}
