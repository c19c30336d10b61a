"""Which words switch the hook on, and how."""

from pathlib import Path

import pytest
from wayside.hook.switch import DIVERT, MIRROR, OFF, read_switch, read_tensorboard

HERE, AMD = "WAYSIDE_WANDB_HOOK", "PRIMUS_LENS_WANDB_HOOK"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No collector's socket in the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, OFF),
        ({HERE: "mirror"}, MIRROR),
        ({HERE: " Divert "}, DIVERT),
        ({HERE: "1"}, MIRROR),
        ({HERE: "off", "WAYSIDE_SOCKET": "/s"}, OFF),
        ({HERE: "", AMD: "true"}, MIRROR),
        ({HERE: "no", AMD: "true"}, OFF),
        ({HERE: "divert", AMD: "false"}, DIVERT),
        ({AMD: "yes"}, MIRROR),
        ({AMD: "0", "WAYSIDE_SOCKET": "/s"}, OFF),
        ({"WAYSIDE_SOCKET": "/s"}, MIRROR),
        ({"WAYSIDE_SOCKET": " "}, OFF),
    ],
)
def test_what_the_environment_says(environ: dict[str, str], mode: str):
    """Ours goes before AMD's, AMD's before a socket; words for yes and no are taken as people write them."""
    assert read_switch(environ) == (mode, None)


def test_a_socket_where_one_is_usual(tmp_path: Path):
    """A collector in the working directory, or in the user's runtime folder, is enough."""
    folder = tmp_path / "wayside"
    folder.mkdir()
    assert read_switch({"XDG_RUNTIME_DIR": str(tmp_path)})[0] == OFF
    (folder / "wayside.sock").touch()
    assert read_switch({"XDG_RUNTIME_DIR": str(tmp_path)})[0] == MIRROR
    assert read_switch({})[0] == OFF
    folder.rename(tmp_path / ".wayside")
    assert read_switch({})[0] == MIRROR


def test_a_word_that_is_none():
    """It is told, and the script is left alone."""
    mode, problem = read_switch({HERE: "mirrored", "WAYSIDE_SOCKET": "/s"})
    assert mode == OFF
    assert "WAYSIDE_WANDB_HOOK is 'mirrored' and must be mirror, divert or off" in str(problem)


def test_asked_for_in_code():
    """Where code asks for the hook, only a word for no keeps it off."""
    assert read_switch({}, asked=True)[0] == MIRROR
    assert read_switch({HERE: "off"}, asked=True)[0] == OFF


@pytest.mark.parametrize(
    ("value", "wandb", "on"),
    [
        ("", MIRROR, True),
        ("", DIVERT, True),
        ("", OFF, False),
        ("off", MIRROR, False),
        (" On ", OFF, True),
        ("1", OFF, True),
    ],
)
def test_tensorboard_is_hooked_where_wandb_is_unless_it_is_said(value: str, wandb: str, on: bool):
    """One variable of its own, and without it the same answer for both."""
    assert read_tensorboard({"WAYSIDE_TENSORBOARD_HOOK": value}, wandb) == (on, None)


def test_a_word_that_tensorboards_hook_does_not_know():
    """It leaves TensorBoard alone, and says which words there are."""
    on, problem = read_tensorboard({"WAYSIDE_TENSORBOARD_HOOK": "divert"}, MIRROR)
    assert not on
    assert problem is not None
    assert "must be on or off" in problem
