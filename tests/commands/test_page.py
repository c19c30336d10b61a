"""docs/commands.md is held to the code: what stands there as a command's output is what it says; nothing is missing."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from commands.history import fill
from wayside_collector import cli

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "commands.md"
RUNS = [("7f3a9c21", "llama-lr-0.1"), ("b04e55d8", "llama-lr-0.01"), ("c9d1e7f0", "llama-lr-1")]
OURS = ("runs", "query", "export", "report", "top", "rebuild")


class Typed(NamedTuple):
    """A command of the page, and what stands under it."""

    line: int
    command: str
    output: str


def typed(text: str) -> list[Typed]:
    """Every command of a console block that is not said to be not run."""
    found: list[Typed] = []
    for block in re.finditer(r"(<!-- not run: .+? -->\n)?```console\n(.*?)```", text, re.DOTALL):
        line = text[: block.start(2)].count("\n") + 1
        for part in re.split(r"^\$ ", block[2], flags=re.MULTILINE)[1:] if block[1] is None else ():
            command, _, output = part.partition("\n")
            found.append(Typed(line, command, output))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a collector has kept three runs, and the command to ask for them."""
    made = tmp_path_factory.mktemp("kept")
    (made / ".wayside" / "store").mkdir(parents=True)
    fill(str(made / ".wayside" / "store" / "store.db"), RUNS, odd={})
    command = made / "bin" / "wayside-collector"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m wayside_collector "$@"\n')
    command.chmod(0o755)
    yield made
    shutil.rmtree(made)


def run(folder: Path, command: str) -> str:
    """What a person sees who types this; of a pipe, what comes out at its end."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WAYSIDE_")}
    environ |= {"PATH": f"{folder / 'bin'}:{environ['PATH']}", "TZ": "UTC", "COLUMNS": "100"}
    script = f"{command} 2>&1"
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environ, capture_output=True, text=True, timeout=60)
    return done.stdout


@pytest.mark.timeout(120)
def test_what_it_says_is_what_they_say(folder: Path) -> None:
    """Every command of the page prints, to the letter, what stands under it."""
    found = typed(PAGE.read_text())
    assert len(found) >= 10
    for one in found:
        assert run(folder, one.command) == one.output.removesuffix("\n\n").rstrip("\n") + "\n", f"{PAGE}:{one.line}"


def test_no_command_is_missing() -> None:
    """Every command has a line in the table; ours have a chapter, in which each of their options is named."""
    text = PAGE.read_text()
    for command in cli.COMMANDS:
        assert f"| `{command.name}` |" in text, command.name
    places = text[text.index("## Where the history is") : text.index("## runs")]
    for command in cli.COMMANDS:
        if command.name in OURS:
            chapter = re.split(rf"^## {command.name}$", text, flags=re.MULTILINE)[1].split("\n## ")[0]
            parser = argparse.ArgumentParser(add_help=False)
            command.arguments(parser)
            for action in parser._actions:
                names = action.option_strings or [action.metavar or ""]
                assert any(name in chapter + places for name in names), names


def test_every_command_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each explains itself by examples that it would understand."""
    for command in cli.COMMANDS:
        with pytest.raises(SystemExit) as ended:
            cli.main([command.name, "--help"])
        assert ended.value.code == 0
        assert "examples:" in capsys.readouterr().out or command.name == "dead-letters"
        assert command.examples
