"""Snippets of the five guides: what becomes of each. Pure: text in, scripts out.

`texts/` holds the guides as their users have them. Every Python block and every shell block of each has a treatment in
the module of that guide: it is run, perhaps bent in stated ways, or it is left with the reason why. A single command of
a block that is run can be left, too.
"""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from e2e.readme import Block, blocks

TEXTS = Path(__file__).parent / "texts"
GUIDES = ("bitnet", "diffsynth", "model_foundry", "peft_studio", "primus")
SHELL = ("bash", "sh", "shell")


class Ran(NamedTuple):
    """Run. bends: what stands there, and what stands in its place. left: commands of it that are not run, and why.
    before, after: lines around it.
    """

    bends: tuple[tuple[str, str], ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    before: str = ""
    after: str = ""


class Left(NamedTuple):
    """Not run. why: the reason."""

    why: str


Treatments = Mapping[int, Ran | Left]  #: by the line where a block's code begins


def snippets(guide: str) -> list[Block]:
    """Every Python and shell block of a guide."""
    found = blocks((TEXTS / f"{guide}.txt").read_text())
    wanted = [block for block in found if block.language in (*SHELL, "python")]
    return [block._replace(code=textwrap.dedent(block.code)) for block in wanted]


def bent(block: Block, ran: Ran) -> str:
    """A block as it is run."""
    code = block.code
    for old, new in (*ran.bends, *((command, "") for command, _ in ran.left)):
        assert old in code, f"line {block.line}: there is no {old!r} to be bent"
        code = code.replace(old, new)
    return "\n".join(part for part in (ran.before, code, ran.after) if part)


def script(guide: str, treatments: Treatments, language: str, order: Iterable[int] = ()) -> str:
    """All blocks of a language that are run, one after the other, those of `order` first; a shell block in a shell of
    its own.
    """
    shown = {block.line: block for block in snippets(guide) if (block.language == "python") == (language == "python")}
    first = list(order)
    lines = [*first, *(line for line in shown if line not in first)]
    ran = [(shown[line], treatment) for line in lines if isinstance(treatment := treatments[line], Ran)]
    parts = [f"# line {block.line}\n{bent(block, treatment)}" for block, treatment in ran]
    return "\n\n".join(parts if language == "python" else (f"(\n{part}\n)" for part in parts))
