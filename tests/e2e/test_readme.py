"""The README does what it says: its blocks are run as written, by an ordinary user, on a clean clone."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.machine import free_port
from e2e.readme import SHELL, blocks, to_run

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
NOBODY = 65534

SAMPLE = """
# Title

```bash
echo one
```

<!-- not run: needs a cluster -->
```bash
kubectl apply -f x
```

<!-- not run: -->

```python
import x
```

```console
$ echo two
two
```

```mermaid
graph
```
    """


def test_blocks_are_found_with_their_reasons() -> None:
    """Each block with its language, its line and why it is not run; an answer of a console is not run either."""
    found = blocks(SAMPLE)
    assert [(block.language, block.not_run) for block in found] == [
        ("bash", None),
        ("bash", "needs a cluster"),
        ("python", ""),
        ("console", None),
        ("mermaid", None),
    ]
    assert SAMPLE.splitlines()[found[1].line - 1] == found[1].code == "kubectl apply -f x"
    assert [block.code for block in to_run(found)] == ["echo one", "echo two"]


def test_what_is_not_run_says_why() -> None:
    """Every block of the README that is left out has a reason, and something is run in each language."""
    found = blocks(README.read_text())
    for block in found:
        assert block.not_run is None or len(block.not_run) > 10, f"line {block.line}: <!-- not run: a reason -->"
    ran = {block.language for block in to_run(found)}
    assert ran & set(SHELL)
    assert "python" in ran


class User:
    """An ordinary user with a home: nobody when the tests run as root, else whoever runs them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.prefix: list[str] = []
        self._shared: Path | None = None
        if os.geteuid() == 0:
            self.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
            shared = Path(f"/dev/shm/wayside-{NOBODY}")
            self._shared = None if shared.exists() else shared

    def own(self) -> None:
        """The home and all in it are this user's."""
        if self.prefix:
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(self.home)], check=True, timeout=60)

    def run(self, command: list[str], cwd: Path, timeout: float) -> None:
        """A command to its end and without a trace of it after that: what it left in the background is killed."""
        environ = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "LANG", "LC_"))}
        environ |= {"HOME": str(self.home), "PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(self.home / "tmp")}
        environ["WAYSIDE_LISTEN"] = f"127.0.0.1:{free_port()}"  # the usual port may be in use by whoever runs the tests
        log = self.home / "log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [*self.prefix, *command], cwd=cwd, env=environ, stdout=out, stderr=out, start_new_session=True
            )
        try:
            code = process.wait(timeout)
        finally:
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], timeout=10, check=False)
            process.wait()
        assert code == 0, f"{command} ended with {code}:\n{log.read_text()[-4000:]}"

    def close(self) -> None:
        if self._shared is not None:
            shutil.rmtree(self._shared, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture
def user() -> Iterator[User]:
    """A user whose home is below /tmp itself: pytest's own folders let nobody else in."""
    home = Path(tempfile.mkdtemp(prefix="wayside-readme-", dir="/tmp"))
    home.chmod(0o755)
    (home / "tmp").mkdir()
    made = User(home)
    yield made
    made.close()


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_the_readme_on_a_clean_clone(user: User) -> None:
    """Every block that is not left out ends with exit code 0, one after the other, as a user would type them."""
    clone = user.home / "wayside"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True, timeout=60)
    user.own()
    for block in to_run(blocks((clone / "README.md").read_text())):
        path = user.home / f"block-{block.line}"
        path.write_text(block.code + "\n")
        path.chmod(0o644)
        if block.language == "python":
            user.run([str(clone / ".venv" / "bin" / "python"), str(path)], clone, 120)
        else:
            user.run(["bash", "-eu", str(path)], clone, 1200)
