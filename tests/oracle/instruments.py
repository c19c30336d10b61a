"""What faults are made with: calls that fail, a small disk, a clock that can be set. Each says why it cannot be had
here, when it cannot: a fault that was not made proves nothing.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SHIM = Path(__file__).parents[1] / "faults" / "shim.c"


class Impossible(Exception):
    """This machine cannot make the fault: why, and what would help."""


@dataclass(frozen=True)
class Shim:
    """Makes calls of a process fail, below one folder, while `fail` says so ("fdatasync=5 pwrite=28")."""

    library: Path
    control: Path

    def environ(self, below: Path) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "FAULT_FILE": str(self.control), "FAULT_BELOW": str(below)}

    def fail(self, calls: str) -> None:
        self.control.write_text(calls)

    def mend(self) -> None:
        self.control.write_text("")


def build_shim(folder: Path) -> Path:
    """Raises Impossible."""
    library = folder / "shim.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM), "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as problem:
        raise Impossible("calls cannot be made to fail: gcc is missing (scripts/install-test-packages)") from problem
    except subprocess.CalledProcessError as problem:
        raise Impossible(f"calls cannot be made to fail: gcc says {problem.stderr}") from problem
    return library


class SmallDisk:
    """A file system of a few MiB, in memory. Mounting one takes root, or a user namespace in which we are."""

    def __init__(self, size: str = "24m") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="wayside-small-"))
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            self.folder.rmdir()
            shell = os.environ.get("SHELL", "bash")
            raise Impossible(
                f"a small file system cannot be mounted here ({done.stderr.strip()}): run as root, or in a namespace "
                f"of your own: unshare --user --map-root-user --mount {shell}"
            )

    @property
    def filler(self) -> Path:
        return self.folder / "filler"

    def fill(self, leave: int = 0) -> None:
        """Take all the room there is, but for `leave` bytes."""
        block = b"x" * 65536
        with self.filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(block)
            except OSError:
                size = self.filler.stat().st_size
                file.truncate(max(0, size - leave))

    def free(self) -> None:
        self.filler.unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Clock:
    """Debian's faketime over a process's wall clock; its monotonic clock goes on as it is."""

    def __init__(self, stamp: Path) -> None:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if library is None:
            raise Impossible("clocks cannot be moved: libfaketime is missing (scripts/install-test-packages)")
        self.library = library
        self.stamp = stamp
        self.move("+0")

    def environ(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.stamp),
            "FAKETIME_CACHE_DURATION": "1",  # seconds; without it every question for the time opens and reads the file
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def move(self, shift: str) -> None:
        """So many seconds from the true time, as in "-3600"; replaced at once, for whoever reads it meanwhile."""
        fresh = self.stamp.with_suffix(".new")
        fresh.write_text(shift)
        os.replace(fresh, self.stamp)

    def close(self) -> None:
        """Remove what libfaketime left in memory of processes that were killed."""
        for path in Path("/dev/shm").glob("*faketime_*"):
            if not Path("/proc", path.name.rpartition("_")[2]).exists():
                path.unlink(missing_ok=True)


def impossible() -> list[str]:
    """What cannot be made on this machine, one line each; empty when everything can."""
    problems = []
    folder = Path(tempfile.mkdtemp(prefix="wayside-probe-"))
    try:
        for attempt in (build_shim, _mount, lambda folder: Clock(folder / "stamp"), _import_wandb):
            try:
                attempt(folder)
            except Impossible as problem:
                problems.append(str(problem))
    finally:
        shutil.rmtree(folder)
    return problems


def _mount(folder: Path) -> None:
    with contextlib.closing(SmallDisk()) as disk:
        disk.fill()


def _import_wandb(folder: Path) -> None:
    try:
        import wandb
    except ImportError as problem:
        raise Impossible(f"the wandb sink's child cannot be killed: {problem}; make setup") from problem
    del wandb
