"""What Python's start says of a variable that cannot be used."""

import pytest
from wayside.hook.activate import activate


def test_a_wrong_value_is_told_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """However many ways lead there: the `.pth`, `sitecustomize`, a script that asks."""
    monkeypatch.setenv("WAYSIDE_WANDB_HOOK", "perhaps, or twice")
    monkeypatch.setenv("WAYSIDE_TENSORBOARD_HOOK", "off")
    assert [activate(), activate()] == [False, False]
    assert capsys.readouterr().err.count("perhaps, or twice") == 1
