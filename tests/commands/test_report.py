"""`report`: one page that tells of runs, holds to itself, and lets no text of a run's out."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from commands.history import fill, loss, tell

Capture = pytest.CaptureFixture[str]
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """A page as a browser reads it. text: what a person reads; tags: every element with its attributes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif not self._open or self._open[-1] != "style":
            self.text += data

    def numbers(self) -> list[list[dict[str, object]]]:
        """The charts' points."""
        return [json.loads(script) for script in self.scripts if script.startswith("[")]


def report(capsys: Capture, store: str, *arguments: str) -> Page:
    told = tell(capsys, "report", *arguments, "--store", store)
    assert told.code == 0, told.err
    return Page(told.out)


def test_one_run(store: str, capsys: Capture) -> None:
    """State, metrics with last and best, a chart of each, config, summary, sessions, alerts: all of it is told."""
    page = report(capsys, store, "llama-a1")
    for words in ("llama", "finished", "Alerts", "train/loss", "val/acc", "depth", "note", "good & <new>", "node-1"):
        assert words in page.text, words
    charts = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    assert charts == ["train/loss", "val/acc", "lr"]
    assert "1300 (3 not finite)" in page.text


def test_nothing_comes_from_elsewhere(store: str, capsys: Capture) -> None:
    """The page asks nobody for anything: no address in it but the namespace's, and its own policy forbids the rest."""
    page = report(capsys, store, "llama-a1", "llama-b2")
    for tag, attributes in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed"), tag
        assert not {"src", "href", "srcset", "action"} & attributes.keys(), (tag, attributes)
    assert set(re.findall(r"https?://[^\s\"'<]+", page.source)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in page.source
    assert "@import" not in page.source
    (policy,) = [one["content"] for tag, one in page.tags if tag == "meta" and "http-equiv" in one]
    assert (policy or "").startswith("default-src 'none';")


def test_no_text_of_a_runs_is_markup(store: str, capsys: Capture) -> None:
    """What the run called things is shown as it is, and is no element, attribute or script."""
    page = report(capsys, store, "llama-a1")
    assert "<i>NaN" in page.text
    assert not [tag for tag, _ in page.tags if tag == "i"]


def test_a_chart_tells_the_values(store: str, capsys: Capture) -> None:
    """The points beside a chart are the metric's: few enough to be drawn, each rank's, broken where there is none."""
    page = report(capsys, store, "llama-a1", "--metric", "train/loss")
    (lines,) = page.numbers()
    assert [line["label"] for line in lines] == ["rank 0", "rank 1"]
    xs, ys = lines[0]["x"], lines[0]["y"]
    assert isinstance(xs, list)
    assert isinstance(ys, list)
    assert (xs[0], len(xs)) == (0.0, len(ys))
    assert 100 < len(xs) <= 250
    assert float(ys[0]) == pytest.approx(sum(loss(step, 0) for step in range(6)) / 6, rel=0.02)


def test_several_runs(store: str, capsys: Capture) -> None:
    """Beside each other: overlaid charts, the best marked, where the configurations differ; names made unique."""
    page = report(capsys, store, "llama-a1", "llama-b2", "zebra")
    assert "Where the configurations differ" in page.text
    assert "llama (llama-a1)" in page.text
    assert "striped (" not in page.text
    assert "★" in page.text
    lines = page.numbers()[0]
    assert [line["colour"] for line in lines] == [0, 0, 1, 1, 2, 2]
    assert "failed (3)" in page.text


def test_into_a_file(store: str, tmp_path: Path, capsys: Capture) -> None:
    """The file is whole, and nothing else is left beside it; what was done is said on stderr."""
    path = tmp_path / "run.html"
    told = tell(capsys, "report", "llama-a1", "-o", str(path), "--store", store)
    assert (told.code, told.out) == (0, "")
    assert "3 charts" in told.err
    assert path.read_text().endswith("</html>\n")
    assert [found.name for found in tmp_path.iterdir()] == ["run.html"]


def test_what_cannot_be_told(store: str, capsys: Capture) -> None:
    """Too many runs, a run that is not there, a metric that none has: each is a sentence."""
    told = tell(capsys, "report", *["llama-a1"] * 6, "--store", store)
    assert (told.code, "at most 5" in told.err) == (2, True)
    assert tell(capsys, "report", "nobody", "--store", store).code == 1
    told = tell(capsys, "report", "llama-a1", "--metric", "none", "--store", store)
    assert (told.code, "none" in told.err) == (1, True)


def test_a_run_that_logged_nothing(tmp_path: Path, capsys: Capture) -> None:
    """It has a page like any other, which says so; and `query` says so, too."""
    place = str(tmp_path / "store.db")
    fill(place, [("r1", "empty")], rows=0)
    page = report(capsys, place, "r1")
    assert "logged no metric" in page.text
    assert "depth" in page.text
    assert "no metric yet" in tell(capsys, "query", "r1", "--store", place).out
    assert tell(capsys, "export", "r1", "--store", place).out == "step,time,rank,host\n"
