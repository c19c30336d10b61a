"""docs/environment.md is held to the code: what each combination of modes leads to, each variable, each default."""

import re
from pathlib import Path
from typing import Any

import pytest
from contract.test_client_page import Asked
from wayside.for_wandb import find_key
from wayside.frameworks import BASE, FRAMEWORKS, WRAPPER
from wayside.hook.asked import may_divert
from wayside.hook.switch import DIVERT, OFF, read_switch
from wayside.primus import Primus
from wayside.settings import announced, read_settings
from wayside_collector.session import Session, read_session
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.sinks.wandb.asked import is_offline, leaves_out

PAGE = (Path(__file__).parents[2] / "docs/environment.md").read_text()


def rows(*heads: str) -> list[list[str]]:
    """The cells of the table that begins with these, without the marks of code."""
    _, found, rest = PAGE.partition(f"| {' | '.join(heads)} |")
    assert found, heads
    lines = rest.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


MODES = [tuple(row) for row in rows("script", "`WANDB_MODE`", "`WAYSIDE_MODE`")]


def session_of(environ: dict[str, str], origin: str) -> Session:
    """What a collector is told of a run in this environment."""
    record: dict[str, Any] = {"session": "a" * 32, "run": {"id": "r"}, "origin": origin}
    return read_session({**record, **announced(read_settings(environ, "/"))})


def told(script: str, environ: dict[str, str]) -> tuple[str, str]:
    """Where rows go, and from whom W&B gets the run."""
    theirs = {"online": "its own wandb", "offline": "its own wandb's folder", "disabled": "nobody"}
    origin = "wayside"
    if script != "wayside":
        hook, _ = read_switch({**environ, "WAYSIDE_WANDB_HOOK": script})
        if hook == OFF:
            return "nowhere", theirs[environ["WANDB_MODE"]]
        origin = "wayside" if hook == DIVERT and may_divert({}, environ) else "wandb"
    mode = read_settings(environ, "/").mode
    if mode == "disabled":
        return "nowhere", "nobody"
    session = session_of(environ, origin)
    options = WandbOptions()
    where, after = ("the collector", "") if mode == "online" else ("`WAYSIDE_DIR`", ", after `sync`")
    reason = leaves_out(session, options)
    if reason == "mirrored":
        return where, theirs[environ["WANDB_MODE"]]
    if reason == "wandb_disabled":
        return where, "nobody"
    own = "a folder that the collector writes" if is_offline(session, options) else "the collector"
    return where, own + after


@pytest.mark.parametrize(("script", "wandb", "ours", "where", "whence"), MODES)
def test_every_combination_of_modes(script: str, wandb: str, ours: str, where: str, whence: str) -> None:
    """Each row of the table is what the code does."""
    assert told(script, {"WANDB_MODE": wandb, "WAYSIDE_MODE": ours}) == (where, whence)


def test_no_combination_is_left_out() -> None:
    """Three scripts, three modes of W&B, three of ours, each once."""
    modes = {"online", "offline", "disabled"}
    wanted = {(script, wandb, ours) for script in ("wayside", "mirror", "divert") for wandb in modes for ours in modes}
    assert {row[:3] for row in MODES} == wanted
    assert len(MODES) == len(wanted)


def test_every_variable_of_wandb_is_named() -> None:
    """Those that the client reads, and no other; the key's among them, which is looked for and not read."""
    asked = Asked()
    read_settings(asked, "/")
    find_key(asked)
    read = {name for name in asked.names if name.startswith("WANDB_")}
    listed = {
        name for row in rows("variable", "with `wayside` and in `divert`") for name in re.findall(r"`(\w+)`", row[0])
    }
    assert listed == read


def test_every_variable_of_primus_is_named_with_its_default() -> None:
    """Those that the client reads; where nothing is set the code has what the table says."""
    asked = Asked()
    settings = read_settings(asked, "/")
    table = {name: row[1].strip("`") for row in rows("variable", "default") for name in re.findall(r"`(\w+)`", row[0])}
    own = {name for name in asked.names if name.startswith("PRIMUS_LENS_")} | {"PRIMUS_LENS_WANDB_HOOK"}
    assert {name for name in table if name.startswith("PRIMUS_LENS_")} == own
    assert {"WORKLOAD_UID", "POD_NAME", "POD_UID", "POD_NAMESPACE", "RANK", "LOCAL_RANK"} <= set(table)
    fields = {"API_REPORTING": "reporting", "ENHANCE_METRICS": "enhance", "DEBUG": "debug"}
    for name, field in fields.items():
        assert table[f"PRIMUS_LENS_WANDB_{name}"] == str(getattr(settings.primus, field)).lower()
    assert settings.primus == Primus()


@pytest.mark.parametrize(
    ("word", "yes"),
    [
        *((word, True) for word in ("1", "yes", "on", "true", "TRUE")),
        *((word, False) for word in ("0", "no", "off", "false")),
    ],
)
def test_words_for_yes_and_no(word: str, yes: bool) -> None:
    """Any usual one, for every switch, the hook's too."""
    names = ("API_REPORTING", "ENHANCE_METRICS", "DEBUG")
    primus = read_settings({f"PRIMUS_LENS_WANDB_{name}": word for name in names}, "/").primus
    assert (primus.reporting, primus.enhance, primus.debug) == (yes, yes, yes)
    saves = read_settings({"PRIMUS_LENS_WANDB_SAVE_LOCAL": word, "PRIMUS_LENS_WANDB_OUTPUT_PATH": "/o"}, "/").primus
    assert (saves.output == "/o") is yes
    assert (read_switch({"PRIMUS_LENS_WANDB_HOOK": word})[0] != OFF) is yes


def test_what_cannot_be_used_is_told_and_the_default_holds() -> None:
    """Numbers out of their bounds, words that are none, addresses with passwords."""
    environ = {
        "PRIMUS_LENS_WANDB_BATCH_SIZE": "many",
        "PRIMUS_LENS_WANDB_FLUSH_INTERVAL": "-1",
        "PRIMUS_LENS_WANDB_API_REPORTING": "perhaps",
        "PRIMUS_LENS_API_BASE_URL": "http://me:hunter2@lens/v1?k=v",
    }
    settings = read_settings(environ, "/")
    assert settings.primus == Primus(endpoint="http://lens/v1")
    assert len(settings.problems) == 3
    assert all(name in " ".join(settings.problems) for name in list(environ)[:3])
    assert "hunter2" not in str(settings)
    assert read_settings({"PRIMUS_LENS_WANDB_BATCH_SIZE": "500"}, "/").primus.batch_size == 50


def test_every_framework_is_named() -> None:
    """As many as the table of the code has, by layer."""
    for layer, names in rows("layer", "known"):
        assert layer in (WRAPPER, BASE)
        assert len(names.split(", ")) == sum(one.layer == layer for one in FRAMEWORKS)
