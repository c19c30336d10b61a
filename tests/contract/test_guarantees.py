"""The page of guarantees names a test for each of its promises: those tests are there, and run."""

import ast
import re
from pathlib import Path

import pytest
from wayside_collector.sinks import SINKS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", PAGE)))
PROOF = re.compile(r"\[`test_\w+`\]")


def promises() -> list[str]:
    """The rows of every table whose last column says what proves them."""
    found: list[str] = []
    proven = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            proven = False
        elif cells[-1] == "proved by":
            proven = True
        elif proven and not set(line) <= set("|- "):
            found.append(line)
    return found


@pytest.mark.parametrize(("name", "path"), NAMED)
def test_a_named_test_is_there_and_not_skipped(name: str, path: str) -> None:
    """It stands in the file that the page links to, under that name, with no mark that keeps it from running."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    assert found, f"docs/guarantees.md names {name}, and {path} has no such test"
    marks = " ".join(ast.unparse(mark) for mark in found[0].decorator_list)
    assert "skip" not in marks
    assert "xfail" not in marks


@pytest.mark.parametrize("row", promises())
def test_every_promise_names_what_proves_it(row: str) -> None:
    """No line of a table with proofs goes without one."""
    assert PROOF.search(row), f"nothing proves: {row}"


def test_every_sink_has_its_promise() -> None:
    """A sink of the table has a row of its own."""
    told = {match for row in promises() for match in re.findall(r"^\| `(\w+)`", row)}
    assert told >= set(SINKS), f"docs/guarantees.md says nothing of {sorted(set(SINKS) - told)}"


def test_the_page_is_read() -> None:
    """Promises and tests are found at all: an empty page would pass everything above."""
    assert len(promises()) > 20
    assert len(NAMED) > 30
