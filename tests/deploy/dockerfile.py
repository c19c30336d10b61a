"""The Dockerfile, read: its stages with their instructions, continued lines joined and comments left out."""

import json
import re
import shlex
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PATH = Path(__file__).parents[2] / "Dockerfile"


@dataclass
class Stage:
    """One stage. instructions: (word, rest) in their order."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def of(self, word: str) -> list[str]:
        return [rest for found, rest in self.instructions if found == word]

    def pairs(self, word: str) -> dict[str, str]:
        """What ENV, LABEL or ARG say, as name and value."""
        found: dict[str, str] = {}
        for rest in self.of(word):
            for part in shlex.split(rest):
                name, _, value = part.partition("=")
                found[name] = value
        return found

    @property
    def user(self) -> str:
        return self.of("USER")[-1]

    def words(self, word: str) -> list[str]:
        """ENTRYPOINT, CMD or VOLUME in their JSON form."""
        found: list[str] = json.loads(self.of(word)[-1])
        return found


@cache
def stages() -> list[Stage]:
    lines = [line for line in PATH.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[Stage] = []
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        elif found:
            found[-1].instructions.append((word, rest.strip()))
    return found


def final_stage() -> Stage:
    return stages()[-1]
