"""Keys never leave the training process: not by the socket, not in the journal, wherever the script put them."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import wayside
from client.conftest import Place
from hypothesis import given
from hypothesis import strategies as st
from wayside import wire
from wayside.masking import MASK, mask_values, secrets_of

KEY = "0123456789abcdef0123456789abcdef01234567"  # as W&B's
PASSWORD = "correct horse battery staple"
SCRIPT = """
import argparse, os, sys
import wayside
parser = argparse.ArgumentParser()
parser.add_argument("--wandb_api_key")
parser.add_argument("--lr", type=float)
parser.add_argument("--hub_token")
arguments = parser.parse_args()
config = dict(vars(arguments), nested={"hf_token": arguments.hub_token, "list": [f"x {os.environ['WANDB_API_KEY']} y"]})
config["db"] = f"postgres://me:{os.environ['DB_PASSWORD']}@host/db"
run = wayside.init(project="p", config=config)
assert run.config["wandb_api_key"] == os.environ["WANDB_API_KEY"], "the script's own config must stay as it is"
run.config.update(arguments)
run.config["later"] = {"Authorization": "Bearer " + arguments.hub_token}
for step in range(100):
    wayside.log({"loss": 0.5}, step=step)
run.finish()
"""


def environ(place: Place, **more: str) -> dict[str, str]:
    return {
        **place.environ,
        "WANDB_API_KEY": KEY,
        "DB_PASSWORD": PASSWORD,
        "PYTHONPATH": os.pathsep.join(sys.path),
        **more,
    }


def train(place: Place, tmp_path: Path, **more: str) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), "--wandb_api_key", KEY, "--lr", "0.1", "--hub_token", KEY[::-1]]
    done = subprocess.run(command, env=environ(place, **more), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stderr


def check(data: bytes) -> None:
    assert b'"lr"' in data, "nothing of the config was there to look at"
    for secret in (KEY, KEY[::-1], PASSWORD):
        assert secret.encode() not in data
    assert MASK.encode() in data


def test_keys_do_not_cross_the_socket(place: Place, tmp_path: Path) -> None:
    """A script with keys in its environment, arguments and config sends none of them."""
    heard = bytearray()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place.socket))
        listening.listen()
        listening.settimeout(60)
        thread = threading.Thread(target=_hear_all, args=(listening, heard))
        thread.start()
        train(place, tmp_path, WAYSIDE_TRANSPORT="socket")
        thread.join(30)
    check(bytes(heard))


def _hear_all(listening: socket.socket, heard: bytearray) -> None:
    """Be a collector that reads no journal, until the client hangs up."""
    while not heard:  # `init` looks whether anybody listens, and says nothing
        with listening.accept()[0] as connection, contextlib.suppress(ConnectionError):
            connection.sendall(wire.json_frame(wire.ANSWER, {"versions": [1], "journal": "unreadable", "stored": 0}))
            while piece := connection.recv(65536):
                heard.extend(piece)


def test_keys_do_not_lie_in_the_journal(place: Place, tmp_path: Path) -> None:
    """Without a collector the same is kept on disk, and has none of them either."""
    train(place, tmp_path)
    files = [path for folder in place.journals() for path in sorted(folder.glob("*"))]
    check(b"".join(path.read_bytes() for path in files))


def test_a_config_is_masked_by_name_by_form_and_by_what_the_environment_holds() -> None:
    """What is secret goes, wherever it is nested; what is not stays as it is."""
    known = secrets_of(
        {"MY_API_KEY": "letmein-letmein", "PWD": "/work/main", "SSH_AUTH_SOCK": "/tmp/agent.1", "A_PASSWORD": "abc"}
    )
    assert known == ["letmein-letmein"]
    config = {
        "api_key": "x7",
        "model": {"hub_token": "something", "tokenizer": "gpt2", "max_tokens": 512, "keys": ["a", "b"]},
        "text": "use letmein-letmein here",
        "url": "https://me:secret@host/path",
        "list": ["hf_abcdefghijklmnopQRSTUV", 1, None, True, 0.5],
    }
    masked = mask_values(config, known=known)
    assert masked["api_key"] == masked["model"]["hub_token"] == MASK
    assert masked["model"] == {**config["model"], "hub_token": MASK}
    assert masked["text"] == f"use {MASK} here"
    assert "secret" not in masked["url"]
    assert masked["list"] == [MASK, 1, None, True, 0.5]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_masking_keeps_the_shape(value: object) -> None:
    """Whatever a config holds: the same keys, lengths and numbers; masked again, nothing more changes."""

    def shape(one: object) -> object:
        if isinstance(one, dict):
            return {key: shape(inner) for key, inner in one.items()}
        if isinstance(one, list):
            return [shape(inner) for inner in one]
        return "text" if isinstance(one, str) else one

    masked = mask_values(value)
    assert shape(masked) == shape(value)
    assert mask_values(masked) == masked


@pytest.mark.parametrize("name", ["lr", "note", "tokenizer", "key_size", "password_file"])
def test_ordinary_values_stay(name: str) -> None:
    """A config is there to be read."""
    assert mask_values({name: "a plain value"}) == {name: "a plain value"}


WAYS: dict[str, Callable[[wayside.Run], object]] = {
    "summary, by name": lambda run: run.summary.update({"api_key": "plain words"}),
    "summary, in a text": lambda run: run.summary.update({"note": f"with {KEY} it works"}),
    "summary, nested": lambda run: run.summary.update({"a": {"b": [f"with {KEY}"]}}),
    "alert": lambda run: run.alert("trouble", f"see https://user:{KEY}@host/?q={KEY}"),
    "alert's title": lambda run: run.alert(KEY),
    "text, by name": lambda run: run.log({"loss": 0.5, "api_key": "plain words"}),
    "text": lambda run: run.log({"said": f"with {KEY} it works"}),
    "metric's options": lambda run: run.define_metric("loss", summary=KEY),
    "config": lambda run: run.config.update({"hub": KEY}),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_saying_something_lets_a_key_out(place: Place, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Whatever is said beside the numbers: by its name, by its form, or as the value of a variable that holds a key."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr("wayside.masking._looked_at", float("-inf"))
    run = wayside.init()
    WAYS[way](run)
    data = b"".join(path.read_bytes() for folder in place.journals() for path in folder.glob("*.seg"))
    assert MASK.encode() in data
    for secret in (KEY, "plain words"):
        assert secret.encode() not in data
