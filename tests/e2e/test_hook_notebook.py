"""A notebook in a real IPython kernel, hooked by a call in its first cell."""

import json

import pytest
from e2e.hooked import CLIENT
from e2e.machine import PATIENCE, Machine
from frameworks.environments import environment

KERNEL = ("ipykernel", "nbclient", "nbformat", "wandb==0.31.0")  #: as they were on this day
DAY = "2026-11-01"

RUNS_IT = """
import sys, nbformat, nbclient
book = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(book, timeout=60, allow_errors=True).execute()
for cell in book.cells:
    for out in cell.outputs:
        print(out.get("text") or out.get("evalue") or out.get("data", {}).get("text/plain"))
"""

CELLS = [
    f"import sys\nsys.path.insert(0, {str(CLIENT)!r})\nimport wayside\nwayside.install_wandb_hook()",
    "import wandb\nrun = wandb.init(project='p', id='first')",
    "wandb.log({'a': 1.0})",
    "wandb.log({'a': 1 / 0})",
    "wandb.log({'a': 2.0})",
    "again = wandb.init(project='p', id='second')\nprint('same run', again is run)",
    "wandb.log({'b': 1.0})",
    "import importlib\nwandb = importlib.reload(wandb)\nwandb.init(project='p', id='third')",
    "with wandb.run:\n    wandb.log({'c': 1.0})",
    "wandb.init(project='p', id='left open')\nwandb.log({'d': 1.0})",
]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("hook", "mode"), [("mirror", "offline"), ("divert", "online")])
def test_a_notebook(machine: Machine, hook: str, mode: str):
    """Cells that fail, a second init, which in a notebook ends the first run, a reload, and a kernel that is shut down:
    each run has its rows and its end.
    """
    collector = machine.collector().wait_ready()
    python = environment("notebook", KERNEL, before=DAY)
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in CELLS]
    book = machine.folder / "book.ipynb"
    book.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}))
    environ = {
        "WAYSIDE_WANDB_HOOK": hook,
        "WANDB_MODE": mode,
        "HOME": str(machine.folder),
        "TMPDIR": str(machine.beside),
    }
    process, log = machine.start([str(python), "-c", RUNS_IT, str(book)], **environ)
    assert process.wait(PATIENCE * 3) == 0, log.read_text()
    collector.wait_delivered()
    said = log.read_text()
    assert "division by zero" in said
    assert "same run False" in said
    rows = {run: [row["metrics"] for row in machine.rows(run)] for run in ("first", "second", "third", "left open")}
    assert rows == {
        "first": [{"a": 1.0}, {"a": 2.0}],
        "second": [{"b": 1.0}],
        "third": [{"c": 1.0}],
        "left open": [{"d": 1.0}],
    }, said
    assert [len(machine.events("finish", run)) for run in rows] == [1, 1, 1, 1]
