"""Topics and payloads of the MQTT sink."""

import json

import pytest
from wayside.row import ALERT, CLIENT
from wayside_collector.sinks.mqtt import MqttOptions
from wayside_collector.sinks.mqtt.messages import Messages, level, levels
from wayside_collector.testing import make_event, make_rows, make_session

ENDPOINT = "mqtt://broker:1883"


def messages(**options: str) -> Messages:
    return Messages(MqttOptions(endpoint=ENDPOINT, **options))  # type: ignore[arg-type]


def test_a_message_for_each_metric() -> None:
    """Topic by the template; the payload holds value, step, time and what names the row for ever."""
    session = make_session("r1", rank=3, id="5" * 32)
    (row,) = make_rows(1, {"train/loss": 0.5}, seq=7, step=9, time=1e9)
    (message,) = messages().of(session, row)
    assert message.topic == "wayside/demo/r1/3/train/loss"
    assert json.loads(message.payload) == {
        "value": 0.5,
        "step": 9,
        "time": 1e9,
        "run": "r1",
        "rank": 3,
        "session": "5" * 32,
        "seq": 7,
        "metric": "train/loss",
    }


def test_a_message_for_each_row() -> None:
    """Where the template names no metric."""
    (row,) = make_rows(1, {"a": 0.5, "b": float("nan")})
    (message,) = messages(topic="t/{run}").of(make_session("r1"), row)
    assert message.topic == "t/r1"
    assert json.loads(message.payload)["metrics"] == {"a": 0.5, "b": "NaN"}


@pytest.mark.parametrize(
    ("text", "one", "several"),
    [
        ("a/b", "a_b", "a/b"),
        ("+", "_", "_"),
        ("a#b+c", "a_b_c", "a_b_c"),
        ("$SYS/x", "_SYS_x", "_SYS/x"),
        ("a//b/", "a__b_", "a/-/b/-"),
        ("", "-", "-"),
        ("a\x00b\ud800", "a_b_", "a_b_"),
        ("ü 🚀", "ü 🚀", "ü 🚀"),
    ],
)
def test_what_means_something_to_a_broker_is_replaced(text: str, one: str, several: str) -> None:
    """Wildcards, separators, `$`, control characters and what is no text never get into a topic from a name."""
    assert (level(text), levels(text)) == (one, several)


def test_a_run_cannot_reach_into_another_topic() -> None:
    """Whatever ids hold, the template's levels stay where they are."""
    session = make_session("../#", rank=None, project="+/$x")
    (row,) = make_rows(1, {"{run}{metric}": 0.5})
    (message,) = messages().of(session, row)
    assert message.topic == "wayside/__$x/..__/-/{run}{metric}"


def test_hardware_has_topics_of_its_own() -> None:
    """By host; and no run in the payload."""
    system = make_session("system", kind="system")
    (message,) = messages().of(system, make_rows(1, {"gpu/0/utilization_ratio": 0.5})[0])
    assert message.topic == "wayside/hosts/host-a/gpu/0/utilization_ratio"
    assert "run" not in json.loads(message.payload)


def test_events_where_they_are_wanted() -> None:
    """Alerts and the like have a topic when one is given; the client's own counters never."""
    alert = make_event(ALERT, {"title": "x", "text": float("inf")}, seq=1)
    assert not list(messages().of(make_session(), alert))
    wanted = messages(event_topic="e/{run}/{kind}")
    (message,) = wanted.of(make_session(), alert)
    assert message.topic == "e/r1/alert"
    assert json.loads(message.payload)["event"] == {"kind": "alert", "title": "x", "text": "Infinity"}
    assert not list(wanted.of(make_session(), make_event(CLIENT, {}, seq=2)))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"endpoint": "tcp://b"}, "endpoint"),
        ({"endpoint": "mqtt://user:pw@b"}, "endpoint"),
        ({"endpoint": "mqtt://b:x"}, "endpoint"),
        ({"endpoint": "mqtt://b/path"}, "endpoint"),
        ({"password_file": "/x"}, "password_file"),
        ({"topic": "a/{nothing}"}, "topic"),
        ({"topic": "a/{kind}"}, "topic"),
        ({"topic": "a/+/{run}"}, "topic"),
        ({"topic": "$SYS/{run}"}, "topic"),
        ({"event_topic": "{"}, "event_topic"),
        ({"status_topic": "a/{run}"}, "status_topic"),
        ({"key_file": "/x"}, "key_file"),
    ],
)
def test_options_are_checked(options: dict[str, str], problem: str) -> None:
    """Each mistake by its option, without a word of a password."""
    (said,) = MqttOptions(**{"endpoint": ENDPOINT, **options}).check()  # type: ignore[arg-type]
    assert said.startswith(problem + ":")
    assert "pw" not in said
