"""What a broker's messages say, without a broker."""

import math

import pytest
from wayside_collector.sources.topics import MAX_PAYLOAD, BadMessage, Default, Reading, read_message, read_template

DEFAULT = Default("mqtt", "home")


def read(topic: str, payload: bytes, template: str = "sensors/{run}/{metric}") -> Reading:
    return read_message(read_template(template), topic, payload, DEFAULT)


@pytest.mark.parametrize(
    ("template", "asked"),
    [
        ("sensors/{run}/{metric}", "sensors/+/#"),
        ("{metric}", "#"),
        ("{metric}/now", "+/now"),
        ("a/+/{rank}/#", "a/+/+/#"),
        ("plain/topic", "plain/topic"),
        ("wayside/{project}/{run}/{rank}/{metric}", "wayside/+/+/+/#"),
    ],
)
def test_what_a_broker_is_asked_for(template: str, asked: str) -> None:
    """A place is one level, a metric at the end all that follow."""
    assert read_template(template).filter == asked


@pytest.mark.parametrize("template", ["a/{x}", "a/{run}/{run}", "a/#/b", "a+", "a/{run", "a/{run}b", "\x00"])
def test_templates_that_are_none(template: str) -> None:
    """Told with what is wrong."""
    with pytest.raises(ValueError, match=r"\w"):
        read_template(template)


@pytest.mark.parametrize(
    ("payload", "metrics"),
    [
        (b"0.5", {"temp": 0.5}),
        (b" 21\n", {"temp": 21.0}),
        (b"-1e3", {"temp": -1000.0}),
        (b"nan", {"temp": math.nan}),
        (b'{"value": 3}', {"temp": 3.0}),
        (b'{"value": "NaN"}', {"temp": math.nan}),
        (b'{"metrics": {"a": 1, "b/c": 2}}', {"a": 1.0, "b/c": 2.0}),
        (b'{"in": 1, "out": {"x": 2.5}, "name": "text", "list": [1]}', {"temp/in": 1.0, "temp/out/x": 2.5}),
        (b"true", {"temp": 1.0}),
    ],
)
def test_payloads(payload: bytes, metrics: dict[str, float]) -> None:
    """Numbers, our own form, and whatever objects devices send."""
    found = read("sensors/lab/temp", payload).metrics
    assert found.keys() == metrics.keys()
    assert all(found[name] == value or math.isnan(value) for name, value in metrics.items())


@pytest.mark.parametrize("payload", [b"", b"on", b"{}", b"[1]", b'{"a": "x"}', b"\xff\x00", b"null", b"[" * 5000])
def test_what_is_no_row(payload: bytes) -> None:
    """Told, and nothing else comes of it."""
    with pytest.raises(BadMessage):
        read("sensors/lab/temp", payload)


def test_a_message_has_a_size() -> None:
    """And as many metrics as a row has."""
    with pytest.raises(BadMessage, match="bytes"):
        read("sensors/lab/temp", b"1" * (MAX_PAYLOAD + 1))
    with pytest.raises(BadMessage, match="metrics"):
        read("sensors/lab/temp", b"{" + b",".join(b'"%d":1' % number for number in range(10_001)) + b"}")


def test_whose_a_row_is() -> None:
    """The payload says it before the topic, the topic before the options; ids are such as everybody takes."""
    own = (
        b'{"value":0.3,"step":10,"time":1767225600.5,"run":"r1","rank":3,"session":"5f","seq":10,"metric":"train/loss"}'
    )
    template = "wayside/{project}/{run}/{rank}/{metric}"
    found = read("wayside/llama/r1/3/train/loss", own, template)
    assert found == Reading("r1", "llama", 3, 1767225600.5, 10, {"train/loss": 0.3})
    assert read("x", b"1", "x") == Reading("mqtt", "home", None, None, None, {"x": 1.0})
    assert read("sensors/a:b/t", b"1").run == "a-b"
    assert read("sensors/.../t", b"1").run == "mqtt"
    assert read("sensors/lab/t", b'{"value":1,"time":1767225600500}').time == 1767225600.5
    assert read("sensors/lab/t", b'{"value":1,"time":"now","step":1.5,"rank":true}')[2:5] == (None, None, None)


def test_a_topic_of_another_template() -> None:
    """As a broker may send it after the options changed."""
    with pytest.raises(BadMessage, match="template"):
        read("other/lab/temp", b"1")
