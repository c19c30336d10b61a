"""docs/client.md is held to the code: every variable and every public name stands there, and nothing that is not."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import wayside
from wayside import api, identity, jobs, launchers
from wayside.settings import read_settings

PAGE = (Path(__file__).parents[2] / "docs/client.md").read_text()
DROP_IN = (Path(__file__).parents[2] / "docs/drop-in.md").read_text()
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Za-z0-9]+)+|RANK|HOSTNAME")


class Asked(Mapping[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def section(title: str) -> str:
    """What stands below a heading, up to the next of its level."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def quoted(text: str) -> set[str]:
    """Variables in a text, as code."""
    return {name for code in re.findall(r"`([^`\n]+)`", text) for name in VARIABLE.findall(code)}


def test_every_variable_that_is_an_option() -> None:
    """The table has the variables that `read_settings` asks for, and no other."""
    asked = Asked()
    read_settings(asked, "/")
    rows = [line.split("|")[1] for line in section("Variables").splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == asked.names


def test_every_variable_that_says_who_it_is() -> None:
    """Identity, jobs and launchers ask for the variables that stand in their section, and for no other."""
    known: set[str] = set()
    for module in (identity, jobs, launchers):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and VARIABLE.fullmatch(node.value):
                known.add(node.value)
    options = Asked()
    read_settings(options, "/")
    assert quoted(section("Which run it is")) - options.names == known


def test_no_variable_of_nobodys() -> None:
    """Wherever the page names one of ours, it is one of the table."""
    asked = Asked()
    read_settings(asked, "/")
    ours = set(re.findall(r"\b(?:WAYSIDE|WANDB)_[A-Z_]+\b", PAGE))
    assert ours == {name for name in asked.names if name.startswith(("WAYSIDE_", "WANDB_"))}


def test_every_public_name() -> None:
    """What `wayside` and a run offer stands among the calls, with the arguments it takes, or with wandb's names."""
    calls = section("Calls") + DROP_IN
    for name in wayside.__all__:
        assert f"wayside.{name}" in calls, name
    for name, _ in inspect.getmembers(wayside.Run):
        if not name.startswith("_"):
            assert f"`run.{name}`" in calls, name
    for function in (api.init, api.log, api.finish, api.alert, api.define_metric):
        (signature,) = re.findall(rf"`wayside\.{function.__name__}\((.*?)\)`", calls)
        taken = [name for name in inspect.signature(function).parameters if name not in ("others", "options")]
        assert [part.split("=")[0] for part in re.split(r", ", signature) if "*" not in part] == taken


def test_every_check_of_the_doctor() -> None:
    """The page names what the doctor checks."""
    source = (Path(wayside.__file__).with_name("examination.py")).read_text()
    named = set(re.findall(r'Check\(\s*"(\w+)"', source))
    rows = [line.split("|")[1].strip() for line in section("Something is wrong").splitlines() if line.startswith("| ")]
    assert set(rows) - {"check"} == named
