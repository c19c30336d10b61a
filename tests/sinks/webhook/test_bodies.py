"""Bodies in the shapes of the services that take them, and templates."""

import json
from typing import Any

import pytest
from wayside_collector.sinks.base import Part
from wayside_collector.sinks.webhook.bodies import PLACEHOLDERS, encode, unknown_placeholders, values_of
from wayside_collector.sinks.webhook.message import MAX_TEXT, Message, message_of
from wayside_collector.testing import make_event, make_session

MESSAGE = Message(
    "alert",
    "ERROR",
    "loss <!channel> & @all",
    "NaN at step 5",
    "s:1",
    1_767_225_600.0,
    5,
    "r/1",
    "my run",
    "demo",
    0,
    "h",
)


def body(form: str = "json", template: dict[str, Any] | None = None, **options: Any) -> Any:
    return json.loads(encode(MESSAGE, form, template or {}, options.get("page"), options.get("routing_key")))


def test_slack_and_mattermost_get_an_attachment():
    """A coloured attachment with facts and a link; nothing a script wrote mentions anybody."""
    slack = body("slack", page="https://w.example")
    (attachment,) = slack["attachments"]
    assert slack["text"] == "my run"
    assert attachment["title"] == "ERROR: loss &lt;!channel&gt; &amp; @all"
    assert attachment["title_link"] == "https://w.example/runs/r%2F1"
    assert {"title": "Step", "value": "5", "short": True} in attachment["fields"]
    (attachment,) = body("mattermost")["attachments"]
    assert "@all" not in attachment["title"]
    assert "title_link" not in attachment


def test_teams_gets_an_adaptive_card():
    """In the message that its workflows take."""
    teams = body("teams", page="https://w.example")
    (attachment,) = teams["attachments"]
    assert teams["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"][0]["text"].startswith("ERROR: loss")
    assert card["actions"][0]["url"] == "https://w.example/runs/r%2F1"
    assert "actions" not in body("teams")["attachments"][0]["content"]


def test_pagerduty_gets_an_event():
    """Version 2 of its API: one incident for a run and a title, a severity that it knows."""
    page = body("pagerduty", routing_key="k" * 32)
    assert (page["routing_key"], page["event_action"]) == ("k" * 32, "trigger")
    assert page["dedup_key"] == "r/1/loss <!channel> & @all"
    assert page["payload"]["severity"] == "error"
    assert page["payload"]["source"] == "h"
    crash = MESSAGE._replace(kind="crashed")
    assert json.loads(encode(crash, "pagerduty", {}, None, "k"))["payload"]["severity"] == "critical"


def test_a_template_is_filled():
    """Texts have their names replaced, a name that stands alone keeps its type, everything else stays as it is."""
    template = {"content": "$level: ${title}", "n": "$step", "code": "$exit_code", "deep": [{"x": "$$5"}, 7, None]}
    assert body(template=template) == {
        "content": "ERROR: loss <!channel> & @all",
        "n": 5,
        "code": None,
        "deep": [{"x": "$5"}, 7, None],
    }


def test_names_that_nothing_replaces_are_found():
    """However deep they stand."""
    assert unknown_placeholders({"a": ["$title", {"b": "${nope} $run $other"}]}) == ["nope", "other"]


def test_everything_a_template_may_name_is_there():
    """The list of names is that of our own body."""
    assert set(values_of(MESSAGE, None)) == set(PLACEHOLDERS)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"title": None, "text": 5, "level": 7, "wait": "x"},
        {"title": "x" * 70_000, "text": "\x00\u202e" * 70_000, "level": "error", "wait": float("inf")},
    ],
)
@pytest.mark.parametrize("form", ["json", "slack", "mattermost", "teams", "pagerduty"])
def test_any_alert_makes_a_body(data: dict[str, Any], form: str):
    """Whatever a client of any language says, at whatever time, within the limits of the services."""
    for time in (-1e18, 0.0, 1e18):
        event = make_event("alert", data, seq=0, time=time)
        message = message_of(Part(make_session(), [event]), event)
        assert message is not None
        assert len(encode(message, form, {}, None, "k")) < 28_000
        assert len(message.text) <= MAX_TEXT
