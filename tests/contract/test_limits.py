"""docs/limits.md is held to the code: each value is the code's, each test is there, and no limit is left out."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from contract.option_rows import sections

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/limits.md").read_text()
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": 1, "h": 3600}

#: Limits that stand elsewhere, on the pages of the store, of W&B and of Lens, or that bound only what is shown.
INNER = re.compile(
    r"\._|\.(store|commands|delivery\.dead_letters|web\.dead_letters|table|views|testing|plausible|units)\b"
    r"|\.sinks\.(wandb|lens)\.|\.sources\.(nvml|amdgpu|peers)|command"
)


class Limit(NamedTuple):
    name: str
    value: str
    test: str


def limits() -> list[Limit]:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
    return [Limit(cells[0].strip("| `"), cells[1].strip(), cells[-1].strip("| `")) for cells in rows]


LIMITS = limits()


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_value_is_the_codes(limit: Limit) -> None:
    """A constant's by its name in the code, an option's default by its path."""
    if limit.name.startswith("wayside"):
        module, _, name = limit.name.rpartition(".")
        number, unit = re.fullmatch(r"([0-9,]+) ?(\w*)", limit.value).groups()  # type: ignore[union-attr]
        assert getattr(importlib.import_module(module), name) == int(number.replace(",", "")) * UNITS[unit]
    else:
        section, _, option = limit.name.rpartition(".")
        (row,) = [row for row in sections()[section] if row.option == option]
        assert row.default == f"`{limit.value}`"


@pytest.mark.parametrize("limit", [limit for limit in LIMITS if "::" in limit.test], ids=lambda limit: limit.name)
def test_a_test_is_there(limit: Limit) -> None:
    """Under the name that the page gives it."""
    path, _, name = limit.test.partition("::")
    assert re.search(rf"^\s*(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), limit.test


def constants() -> Iterator[str]:
    """Every constant of the product that is a limit by its name."""
    for base in (ROOT / "client/wayside", ROOT / "collector/wayside_collector"):
        for path in sorted(base.rglob("*.py")):
            module = ".".join(path.relative_to(base.parent).with_suffix("").parts)
            for node in ast.parse(path.read_text()).body:
                targets = node.targets if isinstance(node, ast.Assign) else []
                for target in targets:
                    if isinstance(target, ast.Name) and re.search(r"^_?MAX_|_LIMIT$", target.id):
                        yield f"{module}.{target.id}"


def test_every_limit_but_the_small_ones_has_a_test() -> None:
    """Only the last table does without."""
    before = PAGE[: PAGE.index("## Small ones")]
    assert [limit.name for limit in LIMITS if f"`{limit.name}`" in before and "::" not in limit.test] == []


def test_no_limit_is_left_out() -> None:
    """Whatever is called a limit in the code stands in a table."""
    listed = {limit.name for limit in LIMITS}
    left = [name for name in constants() if name not in listed and not INNER.search(name)]
    assert left == [], "put them into docs/limits.md, each with its value, its reason, its counter and its test"
