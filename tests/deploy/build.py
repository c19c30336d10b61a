"""The Dockerfile's stage `build`, carried out in a folder: its own commands, with the image's paths mapped into it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.dockerfile import PATH, stages

_MAPPED = ("/src", "/wheels", "/opt/wayside")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", ".*", "node_modules")  # as .dockerignore


@dataclass(frozen=True)
class Built:
    """A folder that stands for the image's root."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / "opt" / "wayside" / "venv"

    @property
    def client_wheel(self) -> Path:
        (found,) = (self.root / "opt" / "wayside" / "client").iterdir()
        return found

    def map(self, text: str) -> str:
        for path in _MAPPED:
            text = text.replace(path, f"{self.root}{path}")
        return text

    def run(self, *command: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command of the image, with nothing of this process's environment but what it needs to run."""
        path = f"{self.venv / 'bin'}:/usr/bin:/bin"
        return subprocess.run(
            command, env={"PATH": path, "HOME": str(self.root), **(environ or {})}, capture_output=True, text=True
        )


def build(root: Path, arguments: dict[str, str], context: Path = PATH.parent) -> Built:
    """Carry out the stage below `root`. arguments: as of --build-arg. Takes a minute, most of it pip's."""
    built, stage = Built(root), stages()[1]
    tools = root / "tools"
    subprocess.run([sys.executable, "-m", "venv", tools], check=True)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("WAYSIDE_", "VIRTUAL_ENV"))},
        **stage.pairs("ENV"),
        **stage.pairs("ARG"),
        **arguments,
        "PATH": f"{tools / 'bin'}:{os.environ['PATH']}",
    }
    folder = root
    for word, rest in stage.instructions:
        if word == "WORKDIR":
            folder = Path(built.map(rest))
            folder.mkdir(parents=True)
        elif word == "COPY":
            *sources, target = rest.split()
            if sources[0] == "--from=page":
                continue  # where it was built in the working tree, it came with `collector`
            for source in sources:
                _copy(context / source, folder / target / (source if target == "./" else ""))
        elif word == "RUN":
            (root / "opt" / "wayside").mkdir(parents=True, exist_ok=True)
            done = subprocess.run(built.map(rest), shell=True, cwd=folder, env=environ, capture_output=True, text=True)
            assert done.returncode == 0, f"{rest}\n{done.stdout}\n{done.stderr}"
    return built


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=_LEFT_OUT)
    else:
        shutil.copy(source, target)
