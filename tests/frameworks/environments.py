"""Virtual environments for tests that need other versions of other people's packages: built once, and kept.

They lie outside the repository, in `~/.cache/wayside-tests` (or where WAYSIDE_TEST_CACHE says), each under a name that
holds a digest of what it was made of. Tests run in several processes, so each is built under a lock. What cannot be
built is an error with the installer's own words, and never a skipped test.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

UV = Path(sys.executable).with_name("uv")  #: from the development group
PATIENCE = 540  #: seconds an installation may take
_READY = "ready"  # the file that is written last

#: The training frameworks that are run for real, in one environment; torch's build for the CPU.
FRAMEWORKS = (
    *("torch==2.13.0", "transformers==5.23.0", "accelerate==1.15.0", "lightning==2.6.6", "keras==3.15.1"),
    *("stable-baselines3==2.9.2", "tensorboard==2.21.0", "tensorboardX==2.6.5", "wandb==0.31.0"),
)


def cache() -> Path:
    """Where the environments lie."""
    told = os.environ.get("WAYSIDE_TEST_CACHE")
    return Path(told) if told else Path.home() / ".cache" / "wayside-tests"


def environment(name: str, requirements: Sequence[str], *, before: str = "", options: Sequence[str] = ()) -> Path:
    """The Python of an environment with these requirements, built if it is not there yet.

    name: what it is called, for people. before: packages as they were on that day ("2022-09-01"), the requirements'
    own requirements included: old releases name no upper bounds, and fail beside what came after them. options: more
    of `uv pip install`'s. Wheels alone are taken, unless an option says otherwise.
    """
    version = ".".join(map(str, sys.version_info[:2]))
    made_of = "\n".join((version, *requirements, before, *options))
    folder = cache() / f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:10]}"
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(folder))
            dated = ["--exclude-newer", before] if before else []
            _uv("pip", "install", "--python", str(python), "--only-binary", ":all:", *dated, *options, *requirements)
            (folder / _READY).write_text(made_of)
    return python


def frameworks() -> Path:
    """The Python of the environment with FRAMEWORKS. torch comes from where PIP_FIND_LINKS says, on machines that are
    given such a place, else from PyTorch's own index: PyPI has only the build for CUDA, of gigabytes.
    """
    found = os.environ.get("PIP_FIND_LINKS", "").split()
    options = [word for place in found for word in ("--find-links", place)] or ["--torch-backend", "cpu"]
    return environment("frameworks", FRAMEWORKS, options=options)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _uv(*arguments: str) -> None:
    command = [str(UV), "--quiet", "--no-config", *arguments]
    environ = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed, which needs PyPI or uv's own cache:\n{done.stderr}")
