"""What wandb's own variables ask, and where a key is."""

from pathlib import Path

import pytest
from wayside.for_wandb import ForWandb, find_key, key_advice, read_for_wandb, read_resume

HELLO = {"origin": "wayside"}


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        *[("", "online"), ("online", "online"), ("run", "online"), ("OFFLINE", "offline"), ("dryrun", "offline")],
        *[("disabled", "disabled"), ("shared", "online"), ("ofline", "online")],
    ],
)
def test_modes(value: str, mode: str) -> None:
    """wandb's own words, older ones too; one that is none is told."""
    problems: list[str] = []
    assert read_for_wandb({"WANDB_MODE": value}, "/", problems).mode == mode
    assert bool(problems) == (value == "ofline")


def test_nothing_is_announced_that_nobody_asked_for() -> None:
    """An empty environment adds nothing to the session record, and an address loses what may be secret in it."""
    assert read_for_wandb({}, "/", []).fields() == ForWandb().fields() == {}
    asked = {"WANDB_BASE_URL": "https://me:hunter2@w.corp/x?token=1", "WANDB_DIR": "runs", "WANDB_VERIFY_SSL": "false"}
    told = read_for_wandb(asked, "/work", []).fields()
    assert told == {"base_url": "https://w.corp/x", "dir": "/work/runs", "verify_tls": False}


@pytest.mark.parametrize(
    ("environ", "verify"),
    [
        ({"WANDB_VERIFY_SSL": "true"}, True),
        ({"WANDB_VERIFY_SSL": "0"}, False),
        ({"WANDB_VERIFY_SSL": "perhaps"}, True),
        ({"WANDB_INSECURE_DISABLE_SSL": "true"}, False),
        ({"WANDB_INSECURE_DISABLE_SSL": "no"}, True),
    ],
)
def test_certificates(environ: dict[str, str], verify: bool) -> None:
    """By the name that guides have, and by wandb's; what cannot be read asks for nothing dangerous."""
    assert read_for_wandb(environ, "/", []).verify_tls is verify


@pytest.mark.parametrize(
    ("value", "resume"),
    [("", None), ("false", None), ("true", "allow"), ("Must", "must"), ("never", "never"), ("x", None)],
)
def test_resume(value: str, resume: str | None) -> None:
    """As wandb takes it."""
    problems: list[str] = []
    assert read_resume({"WANDB_RESUME": value}, problems) == resume
    assert bool(problems) == (value == "x")


def test_where_a_key_is(tmp_path: Path) -> None:
    """In the environment, or in a netrc for the very server; and nothing of the key is in what is said."""
    home = {"HOME": str(tmp_path)}
    assert find_key({"WANDB_API_KEY": "k" * 40}) == "WANDB_API_KEY"
    assert find_key(home) is None
    (tmp_path / ".netrc").write_text("machine api.wandb.ai\n  login user\n  password " + "k" * 40 + "\n")
    assert find_key(home) == str(tmp_path / ".netrc")
    assert find_key(home, "https://api.wandb.ai") == str(tmp_path / ".netrc")
    assert find_key(home, "http://wandb.corp:8080/x") is None
    assert find_key({"HOME": str(tmp_path), "WANDB_API_KEY": " "}) is not None
    (tmp_path / "other").write_text("machine wandb.corp login user password x")
    assert find_key({"NETRC": str(tmp_path / "other")}, "http://wandb.corp:8080") == str(tmp_path / "other")
    assert find_key({"NETRC": str(tmp_path)}) is None


def test_who_is_told_where_to_put_it() -> None:
    """Who has a key where the collector has none, and wants W&B from it; nobody else, and never the key."""
    key = {"WANDB_API_KEY": "k" * 40}
    said = key_advice("no key", HELLO, key)
    assert said is not None
    assert "set WANDB_API_KEY in the collector's environment" in said
    assert "kkk" not in said
    assert "`wandb: {}` to its sinks" in (key_advice("no sink", HELLO, key) or "")
    assert key_advice("key", HELLO, key) is None
    assert key_advice(None, HELLO, key) is None
    assert key_advice("no key", HELLO, {"HOME": "/nowhere"}) is None
    assert key_advice("no key", {"origin": "wandb"}, key) is None
    assert key_advice("no key", {**HELLO, "wandb": {"mode": "offline"}}, key) is None
