"""The image, built for real in clean roots: what comes out runs read-only as nobody, holds little, and comes out again.

Not run here: Docker, BuildKit, and the base images of Docker Hub.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from deploy.buildah import Image, Store, start
from deploy.charts import ROOT
from deploy.dockerfile import final_stage
from waiting import until
from wayside_collector import __version__

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800),  # debootstrap and pip fetch everything, over the network
    pytest.mark.skipif(os.geteuid() != 0, reason="a root is made and entered by root only: run these tests as root"),
]

NEVER = {"pytest", "numpy", "scikit_learn", "hypothesis", "mypy", "ruff", "hatchling", "uv", "pip"}
WITHIN = 120.0
SITE = "opt/wayside/venv/lib/python3.11/site-packages"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree as it is now: somebody may go on editing it."""
    made = tmp_path_factory.mktemp("context")
    ignored = shutil.ignore_patterns("node_modules", "__pycache__", "*.egg-info")
    for name in ("client", "collector", "page"):
        shutil.copytree(ROOT / name, made / name, ignore=ignored)
    for name in ("Dockerfile", ".dockerignore", "requirements-image.txt", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, made / name)
    return made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"))
    made.make_bases()
    yield made
    made.close()


@pytest.fixture(scope="module")
def image(store: Store, context: Path) -> Image:
    return store.build(context, "wayside", {"REVISION": "0123abc"})


@pytest.fixture(scope="module")
def root(image: Image) -> Iterator[Path]:
    with image.mounted() as mounted:
        yield mounted


def packages(root: Path) -> dict[str, str]:
    """Name and version of what is installed."""
    found = (path.name.removesuffix(".dist-info") for path in (root / SITE).glob("*.dist-info"))
    return {name.lower().replace("-", "_"): version for name, version in (one.rsplit("-", 1) for one in found)}


def test_what_it_says_of_itself(image: Image) -> None:
    """User, command, volumes, port, environment and labels are those that the Dockerfile's last stage names."""
    config, final = image.config, final_stage()
    assert config["User"] == final.user
    assert (config["Entrypoint"], config["Cmd"]) == (["wayside-collector"], ["run"])
    assert set(config["Volumes"]) == {"/run/wayside", "/var/lib/wayside"}
    assert set(config["ExposedPorts"]) == {"9750/tcp"}
    assert config["Labels"]["org.opencontainers.image.revision"] == "0123abc"
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    wanted = final.pairs("ENV")
    assert {name: image.environ[name] for name in wanted if name != "PATH"} == {
        name: value for name, value in wanted.items() if name != "PATH"
    }


def test_it_runs_read_only_as_nobody(image: Image, root: Path, tmp_path: Path) -> None:
    """The collector becomes ready in a root it cannot write, takes a row, and writes into its two volumes only."""
    folders = {"/run/wayside": tmp_path / "run", "/var/lib/wayside": tmp_path / "data"}
    environ = {**image.environ, "WAYSIDE_LISTEN": "127.0.0.1:0", "WAYSIDE_LISTEN_PUBLIC": "127.0.0.1:0"}
    log = tmp_path / "log"
    begun = time.monotonic()
    process = start(root, folders, [*image.config["Entrypoint"], *image.config["Cmd"]], environ, log)
    try:
        note = tmp_path / "run" / "collector.json"
        until(lambda: note.exists() or process.poll() is not None, "the collector's note", within=WITHIN)
        assert process.poll() is None, log.read_text()
        url = json.loads(note.read_text())["url"].rstrip("/")

        def status() -> dict[str, object]:
            with urllib.request.urlopen(f"{url}/status", timeout=10) as answer:
                found: dict[str, object] = json.load(answer)
            return found

        until(lambda: status()["ready"] is True, "ready", within=WITHIN)
        took = time.monotonic() - begun
        body = json.dumps({"metrics": {"loss": 0.5}}).encode()
        request = urllib.request.Request(
            f"{url}/api/v1/runs/r1/log", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["accepted"] == 1
        with urllib.request.urlopen(f"{url}/", timeout=10) as answer:
            assert b"<script" in answer.read(), "the page is not built in"
        (inner,) = [one for one in psutil.Process(process.pid).children(recursive=True) if one.username() != "root"]
        assert inner.uids().real == 65532
        assert {path.name for path in (tmp_path / "data").iterdir()} >= {"spool"}
        print(f"ready after {took:.2f} s, {inner.memory_info().rss / 2**20:.0f} MiB")  # docs/kubernetes.md
        inner.terminate()
        assert process.wait(WITHIN) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def test_only_what_the_runtime_needs(root: Path) -> None:
    """The optional sinks' packages are there; nothing of development and tests is."""
    found = set(packages(root))
    assert {"wayside", "wayside_collector", "aiohttp", "wandb", "aiomqtt", "psycopg"} <= found
    assert not found & NEVER


def test_packages_are_the_pinned_ones(root: Path) -> None:
    """Each installed version is the one of requirements.txt."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = dict(line.split(" ;")[0].split("==") for line in lines if "==" in line and not line.startswith((" ", "#")))
    pins = {name.lower().replace("-", "_"): version for name, version in pinned.items()}
    for name, version in packages(root).items():
        if not name.startswith("wayside"):
            assert pins[name] == version


def test_the_client_for_other_images(root: Path, tmp_path: Path) -> None:
    """The wheel installs by itself, without any package from outside; the unpacked one is found by PYTHONPATH, and is
    everybody's to read.
    """
    carried = root / "opt" / "wayside" / "client"
    (wheel,) = carried.glob("*.whl")
    assert wheel.name == f"wayside-{__version__}-py3-none-any.whl"
    target = tmp_path / "other"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--no-compile", "--target", target, wheel], check=True)
    script = "import wayside; print(wayside.__file__)"
    for place in (target, carried / "packages"):
        done = subprocess.run(
            ["/usr/bin/python3", "-S", "-B", "-c", script],
            env={"PYTHONPATH": str(place)},
            capture_output=True,
            text=True,
        )
        assert done.stdout.startswith(str(place)), done.stderr
    for path in (carried / "packages").rglob("*"):
        assert path.stat().st_mode & 0o005, f"{path} is not everybody's to read"
        assert not path.stat().st_mode & 0o022, f"{path} is others' to write"


def test_everything_is_compiled(root: Path) -> None:
    """A read-only root takes no .pyc later: each module has one already, checked by hash and not by time."""
    for module in ("wayside/runs.py", "wayside_collector/daemon.py", "aiohttp/web.py"):
        source = root / SITE / module
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 1  # hash-based, and not looked at again


def test_the_same_image_again(store: Store, image: Image, context: Path) -> None:
    """Another build of the same files, with nothing kept from the first, gives the same layers."""
    assert store.build(context, "again", {"REVISION": "0123abc"}).layers == image.layers


def test_a_smaller_one(store: Store, context: Path) -> None:
    """Fewer extras leave W&B's packages out."""
    with store.build(context, "small", {"EXTRAS": "mqtt"}).mounted() as found:
        assert "wandb" not in packages(found)
        assert "aiomqtt" in packages(found)
