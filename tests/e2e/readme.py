"""The code blocks of a Markdown file, and which of them can be run. Pure: text in, blocks out.

A block that cannot be run in a test says so in a comment right before it: `<!-- not run: reason -->`.
"""

import re
from typing import NamedTuple

SHELL = ("bash", "sh", "shell", "console")
RUN = (*SHELL, "python")  #: languages that are run; others (mermaid, text, yaml) are only shown

_NOT_RUN = re.compile(r"<!--\s*not run\b:?\s*(?P<reason>.*?)\s*-->")


class Block(NamedTuple):
    """One block. line: where its code begins, from 1. not_run: why it is not run, None where it is."""

    language: str
    code: str
    line: int
    not_run: str | None


def blocks(text: str) -> list[Block]:
    """Every fenced block with a language, in order."""
    found: list[Block] = []
    before, inside, language, start = "", False, "", 0
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        fence = re.match(r"^\s*```\s*(\w*)", line)
        if fence is None:
            before = line if line.strip() and not inside else before
            continue
        if not inside:
            inside, language, start = True, fence[1].lower(), number
            told = _NOT_RUN.search(before)
            continue
        inside, before = False, ""
        if language:
            code = "\n".join(lines[start : number - 1])
            found.append(Block(language, code, start + 1, told["reason"] if told else None))
    return found


def to_run(found: list[Block]) -> list[Block]:
    """Those that a test runs; a console's lines without what it answered."""
    chosen = [block for block in found if block.language in RUN and block.not_run is None]
    return [block._replace(code=_typed(block.code)) if block.language == "console" else block for block in chosen]


def _typed(code: str) -> str:
    return "\n".join(line[2:] for line in code.splitlines() if line.startswith("$ "))
