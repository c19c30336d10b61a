"""Running a guide's snippets on a machine of the test's own, beside a real collector."""

import sys
from pathlib import Path
from typing import Any

from e2e.machine import Collector, Machine

CONFIG: dict[str, Any] = {"sinks": {"jsonl": {}, "store": {}, "prometheus": {}}, "sources": {}}

#: What a shell has here of what it has there: one Python, and accelerate's launcher as far as one process goes.
SHELL = """
python() {{ command {python} "$@"; }}
python3() {{ command {python} "$@"; }}
accelerate() {{ shift; python "$@"; }}
"""


def run_python(machine: Machine, code: str, **environ: str) -> str:
    """A script to its end; what it said."""
    path = machine.folder / "guide.py"
    path.write_text(code)
    done = machine.run(sys.executable, str(path), HOME=str(machine.folder), **environ)
    assert done.returncode == 0, f"{numbered(code)}\n{done.stdout}\n{done.stderr}"[-6000:]
    return done.stdout + done.stderr


def run_shell(machine: Machine, code: str, **environ: str) -> str:
    """Shell lines, each of which must succeed."""
    text = SHELL.format(python=sys.executable) + code
    done = machine.run("bash", "-eu", "-c", text, HOME=str(machine.folder), **environ)
    assert done.returncode == 0, f"{numbered(text)}\n{done.stdout}\n{done.stderr}"[-6000:]
    return done.stdout + done.stderr


def put(machine: Machine, path: str, text: str) -> Path:
    """A file below the machine's folder."""
    place = machine.folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def merged(machine: Machine, kind: str, run: str) -> dict[str, Any]:
    """A run's config or summary, as all its changes make it."""
    found: dict[str, Any] = {}
    for event in machine.events(kind, run):
        found.update(event["set"])
    return found


def runs(collector: Collector) -> dict[str, dict[str, Any]]:
    """The sessions that came, by the name of their run."""
    return {session["name"]: session for session in collector.status()["sessions"]}


def numbered(code: str) -> str:
    return "\n".join(f"{number:4} {line}" for number, line in enumerate(code.splitlines(), 1))
