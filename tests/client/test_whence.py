"""Which variables gave a value: enough of them to give it again, and none that could be missed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from wayside.identity import Here, find_place
from wayside.settings import read_settings
from wayside.whence import whence

FOUND: dict[str, dict[str, str]] = {
    f"{group}/{name}": environ
    for group, known in json.loads(Path(__file__).with_name("environments.json").read_text()).items()
    for name, environ in known["environments"].items()
}
HERE = Here(argv=("train.py",), parent="p")


@pytest.mark.parametrize("field", ["rank", "world_size", "launcher", "workload", "job", "attempt", "anchor"])
def test_they_are_enough_and_each_is_needed(field: str) -> None:
    """In every environment launchers were seen to leave: alone they give the value, and without one they do not."""

    def read(environ: Mapping[str, str]) -> Any:
        return getattr(find_place(environ, HERE), field)

    for name, environ in FOUND.items():
        named = whence(environ, read)
        alone = {variable: environ[variable] for variable in named}
        assert read(alone) == read(environ), name
        for variable in named:
            assert read({key: alone[key] for key in alone if key != variable}) != read(environ), (name, variable)


def test_the_first_that_was_looked_at_is_named() -> None:
    """Where two variables say the same, it is the one with precedence."""
    environ = {"WANDB_PROJECT": "p", "WAYSIDE_PROJECT": "p"}
    assert whence(environ, lambda env: read_settings(env, "/").project) == ("WAYSIDE_PROJECT",)
    environ["WAYSIDE_PROJECT"] = ""
    assert whence(environ, lambda env: read_settings(env, "/").project) == ("WANDB_PROJECT",)


def test_a_default_came_from_nowhere() -> None:
    """A value that nobody set names no variable, whatever else is set."""
    assert whence({"HOME": "/root", "WAYSIDE_MODE": "online"}, lambda env: read_settings(env, "/").mode) == ()
