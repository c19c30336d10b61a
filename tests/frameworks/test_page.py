"""docs/frameworks.md does what it says: its examples are run as written, and each has rows to show for it."""

import os
from pathlib import Path

import pytest
from e2e.machine import Collector, Machine
from e2e.readme import Block, blocks, to_run
from frameworks.arrived import arrived
from frameworks.conftest import Train
from wayside import integrations

PAGE = (Path(__file__).parents[2] / "docs" / "frameworks.md").read_text(encoding="utf-8")
EXAMPLES = to_run(blocks(PAGE))


@pytest.mark.long
@pytest.mark.timeout(600)  # the first test builds the environment, others wait for that
@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda example: example.code.split("wayside.integrations.")[1].split()[0]
)
def test_an_example(machine: Machine, collector: Collector, train: Train, example: Block) -> None:
    """It ends well, says nothing of a problem, and its rows arrive."""
    script = machine.folder / "example.py"
    script.write_text(example.code)
    said = train(str(script))
    found = arrived(machine, collector)
    assert [name for name in found.names() if "loss" in name]
    assert found.exit_codes == [0]
    assert "not heard" not in said


def test_every_adapter_has_an_example() -> None:
    """Run or not."""
    (folder,) = integrations.__path__
    names = {name[:-3] for name in os.listdir(folder) if name.endswith(".py")} - {"__init__", "adapter"}
    assert names == {name for name in names if f"wayside.integrations.{name}" in PAGE}
