"""Installing as a user does: both wheels, built from this tree, into environments that have nothing else."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import wayside
from e2e.machine import Machine, until

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parents[2]


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two wheels by their distribution's name."""
    out = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    for project in (ROOT, ROOT / "client"):
        run(*pip, "--no-build-isolation", "--wheel-dir", str(out), str(project), cwd=out)
    return {path.name.partition("-")[0]: path for path in out.glob("*.whl")}


def python(version: str) -> str:
    """An interpreter of this version: our own, or one that pyenv has."""
    if version == ".".join(map(str, sys.version_info[:2])):
        return sys.executable
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    if not found:
        pytest.skip(f"Python {version} is not installed here")
    return str(found[-1])


def test_both_wheels_are_built(wheels: dict[str, Path]) -> None:
    """`wayside` and `wayside_collector`, for any Python 3 and platform, with the marker of their types and nothing of
    the tests; the client's has the one line that Python runs at its start.
    """
    assert set(wheels) == {"wayside", "wayside_collector"}
    for name, path in wheels.items():
        assert path.name.endswith("-py3-none-any.whl")
        names = zipfile.ZipFile(path).namelist()
        assert f"{name}/py.typed" in names
        tops = {found.split("/")[0].partition("-")[0] for found in names}
        assert tops == {name, "wayside.pth"} if name == "wayside" else tops == {name}


def install(machine: Machine, version: str, wheel: Path) -> Path:
    """An environment of this Python with nothing but the client; returns its folder of commands."""
    home = machine.folder / "env"
    run(python(version), "-m", "venv", str(home), cwd=machine.folder)
    pip = [str(home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    run(*pip, str(wheel), cwd=machine.folder)
    return home / "bin"


@pytest.mark.parametrize("version", ["3.8", "3.11", "3.13"])
def test_the_client_alone(wheels: dict[str, Path], machine: Machine, version: str) -> None:
    """In an environment with nothing but the client: it needs nothing else, and logs without a collector."""
    mine = str(install(machine, version, wheels["wayside"]) / "python")
    shown = machine.run(mine, "-W", "error", "-c", "import wayside; print(wayside.__version__)")
    assert (shown.stdout, shown.stderr) == (f"{wayside.__version__}\n", "")
    program = "import wayside\nwith wayside.init(mode='offline'):\n    wayside.log({'loss': 0.5}, step=1)\n"
    done = machine.run(mine, "-W", "error", "-c", program)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert list((machine.dir / "journals").glob("*/*.seg"))


@pytest.mark.parametrize("version", ["3.8", "3.11"])
def test_the_clients_command(wheels: dict[str, Path], machine: Machine, version: str) -> None:
    """`wayside --help`, as installed, explains itself and mentions the doctor."""
    command = str(install(machine, version, wheels["wayside"]) / "wayside")
    done = machine.run(command, "--help")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "doctor" in done.stdout


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_the_hook_waits_for_wandb(wheels: dict[str, Path], machine: Machine, version: str) -> None:
    """Python's start imports nothing of ours where the hook is off, and next to nothing where it is on; it says
    nothing; and what was installed goes with the package.
    """
    mine = str(install(machine, version, wheels["wayside"]) / "python")
    ours = "import sys; print(*sorted(name for name in sys.modules if name.startswith('wayside')))"
    off = machine.run(mine, "-W", "error", "-c", ours, WAYSIDE_SOCKET="")
    assert (off.stdout, off.stderr) == ("\n", "")
    on = machine.run(mine, "-W", "error", "-c", ours, WAYSIDE_WANDB_HOOK="mirror")
    hook = [f"wayside.hook.{name}" for name in ("activate", "finder", "switch")]
    assert (on.stdout.split(), on.stderr) == (["wayside", "wayside._version", "wayside.hook", *hook], "")
    run(
        mine, "-m", "pip", "uninstall", "--quiet", "--yes", "--disable-pip-version-check", "wayside", cwd=machine.folder
    )
    assert not list((machine.folder / "env").glob("lib/*/site-packages/wayside*"))


def test_both_together(wheels: dict[str, Path], machine: Machine) -> None:
    """Both wheels, with the collector's dependencies: `wayside-collector exec -- …` from the installed command alone
    delivers a run.
    """
    home = machine.folder / "env"
    venv.create(home, with_pip=True)
    pip = [str(home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    run(*pip, *map(str, wheels.values()), cwd=machine.folder)
    mine = run(str(home / "bin" / "python"), "-c", "import site; print(site.getsitepackages()[0])", cwd=machine.folder)
    libraries = Path(pytest.__file__).parents[1]  # as folders only: what is installed there to be edited is not seen
    (Path(mine.strip()) / "libraries.pth").write_text(f"{libraries}\n")
    where = run(
        str(home / "bin" / "python"), "-c", "import wayside_collector; print(wayside_collector.__file__)", cwd=home
    )
    assert where.startswith(str(home)), where
    config = machine.folder / "c.yaml"
    config.write_text("sinks: {jsonl: {}, prometheus: {}}\n")
    job = "import wayside\nwith wayside.init(id='r1'): wayside.log({'loss': 0.5}, step=1)\n"
    done = machine.run(
        *(str(home / "bin" / "wayside-collector"), "exec", "--config", str(config), "--"),
        *(str(home / "bin" / "python"), "-c", job),
    )
    assert done.returncode == 0, done.stderr
    assert until(lambda: machine.rows("r1"), "the row")[0]["metrics"] == {"loss": 0.5}
