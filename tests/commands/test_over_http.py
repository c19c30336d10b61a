"""The history asked of a running collector says what the store itself says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands.history import Told, tell
from e2e.machine import Collector, Machine
from wayside_collector.store import connect

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.timeout(90)
TOKEN = "a-token-of-more-than-sixteen"


@pytest.fixture(scope="module")
def served(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, str, Path]]:
    """A collector that serves the store, its public address, and a file with a token that is good there."""
    machine = Machine(tmp_path_factory.mktemp("machine"))
    tokens, token = machine.folder / "tokens", machine.folder / "token"
    tokens.write_text(f"reader {TOKEN}\n")
    token.write_text(f"{TOKEN}\n")
    db = connect(store)
    db.migrate()  # closed again, all of it stands in the one file
    db.close()
    config = {
        "sinks": {"store": {"path": store}}, "sources": {}, "listen_public": "127.0.0.1:0",
        "public": {"token_file": str(tokens)},
    }  # fmt: skip
    collector = machine.collector(config).wait_ready()
    yield collector, str(collector.status()["listen_public"]).rstrip("/"), token
    assert collector.stop() == 0
    machine.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs"],
        ["runs", "--json", "--state", "finished", "--limit", "1"],
        ["runs", "llama", "--tag", "all", "--where", "lr=0.08"],
        ["query", "llama"],
        ["query", "llama-a1", "*", "--from", "690", "--to", "710", "--json", "--points", "50"],
        ["query", "zebra", "train/loss", "--plot", "--rank", "1"],
        ["query", "zebra", "lr", "--axis", "time", "--points", "7"],
        ["report", "llama-a1", "zebra"],
        ["export", "llama"],
        ["export", "zebra", "--form", "long", "--format", "json", "--rank", "1", "--metric", "lr"],
    ],
)
def test_the_same_answers(
    served: tuple[Collector, str, Path], store: str, capsys: Capture, arguments: list[str]
) -> None:
    """Whatever is asked: the same words, from the store and over HTTP, here and with a token from elsewhere."""
    collector, public, token = served
    direct = tell(capsys, *arguments, "--store", store)
    assert direct.code == 0
    for where in (["--url", collector.url], ["--url", f"{public}/", "--token-file", str(token)]):
        told = tell(capsys, *arguments, *where)
        assert _timeless(told) == _timeless(direct)


def test_an_export_in_pieces(
    served: tuple[Collector, str, Path], store: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few points an answer may have: each row is put together again once, as the store has it."""
    direct = tell(capsys, "export", "llama-a1", "--store", store)
    monkeypatch.setattr("wayside_collector.commands.remote_rows.MAX_POINTS", 170)
    assert tell(capsys, "export", "llama-a1", "--url", served[0].url) == direct


def _timeless(told: Told) -> Told:
    """Without when it was written."""
    return told._replace(out=re.sub(r"Written [-0-9 :]+", "", told.out))


def test_nobody_there(served: tuple[Collector, str, Path], capsys: Capture) -> None:
    """A run that is not there is said to be none, as from the store."""
    told = tell(capsys, "query", "nobody", "--url", served[0].url)
    assert (told.code, "there is no run 'nobody'" in told.err) == (1, True)


def test_a_token_that_is_none(
    served: tuple[Collector, str, Path], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a good token it is said that one is needed, and none is repeated; that of the environment counts."""
    _, public, _ = served
    assert "token" in tell(capsys, "runs", "--url", public).err
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-token-at-all")
    told = tell(capsys, "runs", "--url", public, "--token-file", str(wrong))
    assert (told.code, told.out) == (1, "")
    assert "not-the-token" not in told.err
    told = tell(capsys, "runs", "--url", public, "--token-file", str(tmp_path / "missing"))
    assert (told.code, "missing" in told.err) == (1, True)
    monkeypatch.setenv("WAYSIDE_TOKEN", TOKEN)
    assert tell(capsys, "runs", "--url", public).code == 0
