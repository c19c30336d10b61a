"""docs/security.md is held to the tests: each promise names one that is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_promise_has_its_test(file: str, name: str) -> None:
    """The test that a promise names exists, under that name, in that file."""
    tree = ast.parse((ROOT / file).read_text())
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in functions


def test_every_promise_names_one() -> None:
    """No row of the table of promises is without a test."""
    table = PAGE.split("## Promises")[1].split("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith(("| promise", "|---"))]
    assert len(rows) == len(NAMED) > 20
    assert all("::test_" in row for row in rows)


def test_links_and_options_are_there() -> None:
    """Options that the page speaks of are options."""
    configuration = (ROOT / "docs/configuration.md").read_text()
    for option in ("clients.users", "clients.groups", "clients.mode", "clients.group", "public.cert_file"):
        section, name = option.split(".")
        assert option in PAGE
        assert f"`WAYSIDE_{section.upper()}__{name.upper()}`" in configuration
