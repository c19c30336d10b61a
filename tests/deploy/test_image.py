"""The Dockerfile's build, carried out in a folder: what comes out runs by itself, holds little, and comes out again."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from deploy.build import Built, build
from wayside_collector import __version__

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]  # pip installs everything, over the network

NEVER = {"pytest", "numpy", "scikit_learn", "hypothesis", "mypy", "ruff", "hatchling", "uv", "pip"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("image"), {})


def packages(built: Built) -> set[str]:
    script = "import importlib.metadata as m, json; print(json.dumps([d.name for d in m.distributions()]))"
    done = built.run("python", "-c", script)
    assert done.returncode == 0, done.stderr
    return {name.lower().replace("-", "_") for name in json.loads(done.stdout)}


def test_the_entry_point_answers(built: Built) -> None:
    """The image's command says its version, and checks a configuration that names every kind of sink."""
    done = built.run("wayside-collector", "--version")
    assert (done.returncode, done.stdout) == (0, f"wayside-collector {__version__}\n")
    file = built.root / "wayside.yaml"
    file.write_text("sinks: {prometheus: {}, jsonl: {}, wandb: {}, lens: {endpoint: 'http://lens/v1'}}\n")
    done = built.run("wayside-collector", "check", str(file))
    assert done.returncode == 0, done.stderr


def test_only_what_the_runtime_needs(built: Built) -> None:
    """The optional sinks' packages are there; nothing of development and tests is."""
    found = packages(built)
    assert {"wayside", "wayside_collector", "aiohttp", "wandb", "aiomqtt"} <= found
    assert not found & NEVER


def test_packages_are_the_pinned_ones(built: Built) -> None:
    """Each installed version is the one of requirements.txt."""
    script = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    found = {
        name.lower().replace("_", "-"): version
        for name, version in json.loads(built.run("python", "-c", script).stdout).items()
    }
    pins = dict(
        line.split(" ;")[0].split("==")
        for line in (Path(__file__).parents[2] / "requirements.txt").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    )
    for name, version in found.items():
        if not name.startswith("wayside"):
            assert pins[name] == version


def test_the_client_s_wheel_is_the_installed_client(built: Built) -> None:
    """The wheel at /opt/wayside/client installs by itself, without any package from outside, and can be imported."""
    assert built.client_wheel.name == f"wayside-{__version__}-py3-none-any.whl"
    target = built.root / "other"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--target", target, built.client_wheel], check=True)
    script = "import wayside; print(wayside.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(target)!r}); {script}"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(str(target)), done.stderr


def test_everything_is_compiled(built: Built) -> None:
    """A read-only root takes no .pyc later: each module has one already, checked by hash and not by time."""
    for module in ("wayside/runs.py", "wayside_collector/daemon.py", "aiohttp/web.py"):
        (source,) = built.venv.glob(f"lib/python3.*/site-packages/{module}")
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 1  # hash-based, and not looked at again


def test_the_same_wheels_again(built: Built, tmp_path: Path) -> None:
    """Another build of the same files gives the same bytes of both wheels; fewer extras leave W&B's packages out."""
    again = build(tmp_path / "image", {"EXTRAS": "mqtt"}, built.root / "src")

    def sums(found: Built) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (found.root / "wheels").iterdir()}

    assert sums(again) == sums(built)
    assert "wandb" not in packages(again)
    assert "aiomqtt" in packages(again)
