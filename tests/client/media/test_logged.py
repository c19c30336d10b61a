"""Media in `log()`: beside the numbers, with the step and time of the call, and never at their cost."""

import base64
import hashlib
import os
import signal
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import wayside
from client.conftest import Place
from client.media.heard import finished, media, refused
from wayside.media.medium import Encoded, Medium
from wayside.media.recognise import MAX_LIST
from wayside.media.writer import MAX_INLINE

GREY = np.zeros((2, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def run(place: Place) -> wayside.Run:
    return wayside.init(project="p")


class Broken(Medium):
    """Fails when it is encoded, as a picture whose library fails does."""

    _type = "image"

    def _encode(self) -> Encoded:
        raise RuntimeError("no such codec")


class Large(Medium):
    """Bytes of any number."""

    _type = "image"

    def __init__(self, size: int) -> None:
        self.data = os.urandom(size)

    def _encode(self) -> Encoded:
        return Encoded({}, "png", self.data)


def test_numbers_and_media_of_one_call(place: Place) -> None:
    """The numbers are a row, the picture an event of the same step and time."""
    before = time.time()
    wayside.log({"loss": 0.5, "img": wayside.Image(GREY, caption="seven")}, step=7)
    found = finished(place)
    (row,) = found.rows
    (event,) = [event for event in found.events if event.kind == "media"]
    assert (row.step, row.metrics) == (7, {"loss": 0.5})
    assert (event.step, event.time) == (7, row.time)
    assert before <= event.time <= time.time()
    told = event.data
    data = base64.b64decode(told["base64"])
    assert told["name"] == "img"
    assert (told["type"], told["format"], told["caption"]) == ("image", "png", "seven")
    assert (told["width"], told["height"]) == (3, 2)
    assert (told["size"], told["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_media_alone_take_a_step(place: Place) -> None:
    """A call without numbers writes no row, and the next one has the next step."""
    wayside.log({"img": wayside.Image(GREY)})
    wayside.log({"loss": 1.0})
    found = finished(place)
    assert [event.step for event in found.events if event.kind == "media"] == [0]
    assert [row.step for row in found.rows] == [1]


def test_nested_dictionaries_and_lists(place: Place) -> None:
    """Names are flattened as a metric's are; pictures of a list say which of how many they are."""
    pictures = [wayside.Image(GREY) for _ in range(3)]
    wayside.log({"eval": {"samples": pictures, "acc": 0.5}})
    found = finished(place)
    assert [(told["name"], told["index"], told["of"]) for told in media(found)] == [
        ("eval/samples", index, 3) for index in range(3)
    ]
    assert found.rows[0].metrics == {"eval/acc": 0.5}


def test_a_list_has_so_many(place: Place) -> None:
    """Beyond the limit, which is W&B's own, the first are kept, and it is told."""
    wayside.log({"many": [wayside.Image(GREY)] * (MAX_LIST + 5), "loss": 1.0})
    found = finished(place)
    assert len(media(found)) == MAX_LIST
    assert media(found)[0]["of"] == MAX_LIST + 5
    assert refused(found) == {f"media beyond the first {MAX_LIST} of a list": 1}
    assert found.rows[0].metrics == {"loss": 1.0}


def test_a_failing_medium_costs_itself_alone(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers of its call and the media beside it arrive; it is counted, and told once."""
    for step in range(3):
        wayside.log({"loss": 0.5, "bad": Broken(), "good": wayside.Image(GREY)}, step=step)
    found = finished(place)
    assert [row.metrics for row in found.rows] == [{"loss": 0.5}] * 3
    assert [told["name"] for told in media(found)] == ["good"] * 3
    assert refused(found) == {"media: it could not be encoded: no such codec": 3}
    assert capsys.readouterr().err.count("no such codec") == 1


def test_an_object_that_fails_when_it_is_found(place: Place) -> None:
    """What a figure raises when it is drawn is the reason it is refused for."""

    class Figure:
        __module__ = "matplotlib.figure"

        def savefig(self, *args: Any, **named: Any) -> None:
            raise ValueError("no backend")

    wayside.log({"loss": 0.5, "figure": Figure()})
    found = finished(place)
    assert found.rows[0].metrics == {"loss": 0.5}
    assert refused(found) == {"no backend": 1}


@pytest.mark.parametrize("size", [MAX_INLINE, MAX_INLINE + 1])
def test_small_ones_travel_in_the_event_and_large_ones_are_files(place: Place, size: int) -> None:
    """A file lies under the session's number in the media folder, whole, and the event names it."""
    medium = Large(size)
    wayside.log({"img": medium})
    found = finished(place)
    (told,) = media(found)
    assert ("base64" in told, "file" in told) == ((True, False) if size <= MAX_INLINE else (False, True))
    if "file" in told:
        root = Path(str(found.records[0]["media_root"]))
        assert (root / told["file"]).read_bytes() == medium.data
        assert told["file"] == f"{found.records[0]['session']}/0.png"


def test_secrets_in_captions_are_masked_and_bytes_are_not(place: Place) -> None:
    """What is said is masked as everywhere; a picture's bytes stay what they are, whatever they look like."""
    secret = "ghp_" + "aB3d" * 9
    content = b"\x89PNG\r\n\x1a\n" + secret.encode()
    table = wayside.Table(columns=["note"], data=[[f"the key is {secret}"]])
    wayside.log({"img": wayside.Image(content, caption=f"key {secret}"), "table": table})
    picture, rows = media(finished(place))
    assert base64.b64decode(picture["base64"]) == content
    assert secret not in picture["caption"]
    assert secret not in str(rows["values"])


def test_what_the_script_changes_afterwards(place: Place) -> None:
    """An array, a table and a file are kept as they were when the object was made, or logged."""
    pixels = np.zeros((4, 4), dtype=np.uint8)
    table = wayside.Table(columns=["n"], data=[[1]])
    wayside.log({"img": wayside.Image(pixels), "table": table})
    pixels[:] = 255
    table.add_data(2)
    wayside.log({"img": wayside.Image(pixels), "table": table})
    found = media(finished(place))
    images = [told["base64"] for told in found if told["type"] == "image"]
    assert images[0] != images[1]
    assert [told["values"]["rows"] for told in found if told["type"] == "table"] == [[[1]], [[1], [2]]]


def test_a_disabled_run_keeps_nothing(place: Place) -> None:
    """Media are accepted like all else, and no thread begins."""
    wayside.finish()
    run = wayside.init(mode="disabled")
    run.log({"img": wayside.Image(GREY)})
    run.log_artifact(wayside.Artifact("a", "t"))
    assert run._media is None


def test_a_forked_child_has_a_writer_of_its_own(place: Place) -> None:
    """What a child logs goes with its own session; what waits in the parent is the parent's."""
    wayside.log({"img": wayside.Image(GREY), "a": 1.0})
    child = os.fork()
    if child == 0:
        signal.alarm(15)  # whatever happens to it, it leaves
        code = 1
        try:
            wayside.log({"img": wayside.Image(GREY, caption="child"), "a": 2.0})
            wayside.finish()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    wayside.finish()
    from standins.journal_reading import read_journal

    told = [media(read_journal(folder)) for folder in place.journals()]
    captions = sorted([one.get("caption", "") for one in found] for found in told)
    assert captions == [[""], ["child"]]


def test_what_draws_by_itself(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyplot itself means its figure; subclasses of a library's classes count as theirs; each is drawn once."""
    drawn = []

    class Figure:
        __module__ = "matplotlib.figure"

        def savefig(self, out: Any, format: str) -> None:
            drawn.append(self)
            out.write(b"\x89PNG\r\n\x1a\n")

    class Mine(Figure):
        __module__ = "train"

    pyplot: Any = ModuleType("matplotlib.pyplot")
    pyplot.savefig, pyplot.gcf = None, Figure
    wayside.log({"plt": pyplot, "fig": [Mine(), Mine()], "module": os})
    found = finished(place)
    assert [told["name"] for told in media(found)] == ["plt", "fig", "fig"]
    assert len(drawn) == 3
    assert list(refused(found)) == ["module is not a number, text or dictionary"]


def test_from_threads_and_from_a_handler(place: Place) -> None:
    """Media of several threads, and of a signal's handler amid them, all arrive."""

    def work(name: str) -> None:
        for step in range(40):
            wayside.log({name: wayside.Image(GREY), "a": 1.0}, step=step)

    def handle(number: int, frame: Any) -> None:
        wayside.log({"handler": wayside.Image(GREY)})

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(3)]
        for thread in threads:
            thread.start()
        work("main")
        for thread in threads:
            thread.join()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    found = finished(place)
    names = [told["name"] for told in media(found)]
    assert {name: names.count(name) for name in ("t0", "t1", "t2", "main")} == dict.fromkeys(
        ("t0", "t1", "t2", "main"), 40
    )
    assert len([row for row in found.rows if "a" in row.metrics]) == 160
    assert refused(found) == {}
