"""What a script asks of `wandb.init`, and whether the collector can stand in for the SDK."""

from types import SimpleNamespace
from typing import Any

import pytest
from wayside.hook.asked import ask, called, may_divert, reinit_of


@pytest.mark.parametrize(
    ("asked", "environ", "said"),
    [
        ({}, {}, ""),
        ({"mode": "online"}, {"WANDB_MODE": "offline"}, ""),
        ({}, {"WANDB_MODE": " online "}, ""),
        ({"mode": "offline"}, {}, "wandb's own files"),
        ({"settings": {"mode": "offline"}}, {}, "wandb's own files"),
        ({"settings": SimpleNamespace(mode="offline")}, {}, "wandb's own files"),
        ({}, {"WANDB_SWEEP_ID": "s"}, "a sweep needs wandb itself"),
        ({"sync_tensorboard": True}, {}, "wandb.init(sync_tensorboard=) cannot be diverted"),
        ({"tensorboard": True}, {}, "wandb.init(tensorboard=) cannot be diverted"),
        ({"sync_tensorboard": False}, {}, ""),
        ({"resume_from": "r?_step=5"}, {}, "wandb.init(resume_from=) cannot be diverted"),
        ({"fork_from": "r?_step=5"}, {}, "wandb.init(fork_from=) cannot be diverted"),
    ],
)
def test_what_may_be_diverted(
    asked: dict[str, Any], environ: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
):
    """Everything but what only the real SDK does, and that is said with its reason."""
    assert may_divert(asked, environ) == (not said)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["disabled", "dryrun", "shared"])
def test_modes_that_stay_wandb_s(mode: str, capsys: pytest.CaptureFixture[str]):
    """What the script wants of W&B without us needs no word."""
    assert not may_divert({"mode": mode}, {})
    assert capsys.readouterr().err == ""


def test_arguments_by_place_and_by_name():
    """As Python binds them; those that do not fit are wandb's to refuse."""

    def init(entity: Any = None, project: Any = None, **kwargs: Any) -> None: ...

    assert ask(init, ("e",), {"project": "p"}) == {"entity": "e", "project": "p"}
    assert ask(init, ("e", "p", "too many"), {}) is None


def test_what_a_run_is_called():
    """By argument, else by wandb.Settings or a dictionary of them, under their names for it."""
    settings = SimpleNamespace(run_id="i", run_name="of settings", run_tags=("x",), project=5, resume="must")
    told = called({"name": "n", "settings": settings})
    assert (told["id"], told["name"], told["project"], told["resume"]) == ("i", "n", None, "must")
    assert called({"settings": {"run_group": "g"}})["group"] == "g"


@pytest.mark.parametrize(
    ("asked", "environ", "reinit"),
    [
        ({}, {}, None),
        ({"reinit": False}, {"WANDB_REINIT": "create_new"}, False),
        ({"settings": SimpleNamespace(reinit="default")}, {"WANDB_REINIT": "create_new"}, "create_new"),
        ({"settings": {"reinit": True}}, {}, True),
        ({"reinit": "create_new", "settings": {"reinit": True}}, {}, "create_new"),
    ],
)
def test_what_becomes_of_a_run_that_is_open(asked: dict[str, Any], environ: dict[str, str], reinit: Any):
    """The argument goes before the settings, these before the environment."""
    assert reinit_of(asked, environ) == reinit
