"""Containers as processes with namespaces, root, users and groups of their own, as a kubelet would start them.

Each has a root of its own in memory, with the machine's programs and what its image has, read-only; volumes are
folders, mounted where the pod says. Needs root and the right to make namespaces. A container is process 1 of its
namespace, so all that it started ends with it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WITHIN = 60.0  # seconds for whatever is waited for
SYSTEM = ("/usr", "/etc", sys.base_prefix)
DEVICES = ("null", "zero", "random", "urandom")

#: Runs as process 1, before the container's own program: builds the root, enters it, gives up all rights.
ENTER = """
import json, os, subprocess, sys
told = json.load(sys.stdin)
def mount(*words): subprocess.run(["mount", *words], check=True)
root = told["root"]
mount("-t", "tmpfs", "tmpfs", root)
os.chmod(root, 0o755)
for name in ("bin", "sbin", "lib", "lib64"):
    if os.path.islink("/" + name): os.symlink(os.readlink("/" + name), root + "/" + name)
for name, mode in (("tmp", 0o1777), ("dev", 0o755), ("proc", 0o755), ("run", 0o755)):
    os.mkdir(root + "/" + name)
    os.chmod(root + "/" + name, mode)
for source, place, writable in told["folders"]:
    os.makedirs(root + place, exist_ok=True)
    mount("--bind", source, root + place)
    if not writable: mount("-o", "remount,bind,ro", root + place)
for name in told["devices"]:
    open(root + "/dev/" + name, "w").close()
    mount("--bind", "/dev/" + name, root + "/dev/" + name)
mount("-t", "proc", "proc", root + "/proc")
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
os.chroot(root)
os.chdir(told["cwd"])
os.setgroups(told["groups"])
os.setresgid(*[told["gid"]] * 3)
os.setresuid(*[told["uid"]] * 3)
os.umask(0o022)
null = os.open("/dev/null", os.O_RDONLY)
os.dup2(null, 0)
os.execve(told["command"][0], told["command"], told["environ"])
"""


def can() -> bool:
    """Whether this machine lets us."""
    command = ["unshare", "--mount", "--pid", "--net", "--fork", "ip", "link", "set", "lo", "up"]
    try:
        return os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


@dataclass
class Node:
    """Where containers run. volumes: name to folder. root: a folder of the test's own. group: the pod's fsGroup."""

    root: Path
    volumes: dict[str, Path]
    facts: dict[str, str]
    group: int | None = None
    running: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def start(
        self, container: dict[str, Any], image: dict[str, Path], environ: dict[str, str], ids: tuple[int, int]
    ) -> "subprocess.Popen[bytes]":
        """image: path to the folder that is there. environ: the image's. ids: user and group."""
        mounts = [
            (str(self.volumes[one["name"]]), one["mountPath"], not one.get("readOnly", False))
            for one in container.get("volumeMounts", ())
        ]
        (self.root / container["name"]).mkdir()
        told = {
            "root": str(self.root / container["name"]),
            "folders": [
                *((path, path, False) for path in SYSTEM),
                *((str(f), p, False) for p, f in image.items()),
                *mounts,
            ],
            "devices": DEVICES,
            "cwd": "/tmp",
            "uid": ids[0],
            "gid": ids[1],
            "groups": [] if self.group is None else [self.group],
            "command": [*container["command"], *container.get("args", ())],
            "environ": {**environ, **self._environ(container)},
        }
        with (self.root / f"{container['name']}.log").open("wb") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--net", "--fork", sys.executable, "-c", ENTER],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self.running.append(process)
        assert process.stdin is not None
        process.stdin.write(json.dumps(told).encode())
        process.stdin.close()
        return process

    def said(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text()

    def signal(self, process: "subprocess.Popen[bytes]", number: int) -> None:
        """To a container's first process, as kubelet sends it; to nobody when that has ended."""
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), number)

    def kill(self, process: "subprocess.Popen[bytes]") -> int:
        """SIGKILL; the exit code. `unshare` would leave behind what has given up its user."""
        if process.poll() is None:
            self.signal(process, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(5)
            process.kill()  # it had not begun its container yet
        return process.wait(WITHIN)

    def terminate(self, process: "subprocess.Popen[bytes]") -> int:
        """SIGTERM; the exit code."""
        self.signal(process, signal.SIGTERM)
        return process.wait(WITHIN)

    def close(self) -> None:
        for process in self.running:
            self.kill(process)

    def _environ(self, container: dict[str, Any]) -> dict[str, str]:
        """Of variables that come from Secrets, which this node does not have, only optional ones are left out."""
        found = {}
        for entry in container.get("env", ()):
            source = entry.get("valueFrom")
            if source is None:
                found[entry["name"]] = entry.get("value", "")
            elif "fieldRef" in source:
                found[entry["name"]] = self.facts[source["fieldRef"]["fieldPath"]]
            else:
                assert source["secretKeyRef"]["optional"]
        return found


def wait_until(found: Any, why: Any) -> None:
    """Asks until it is so."""
    until = time.monotonic() + WITHIN
    while not found():
        assert time.monotonic() < until, why()
        time.sleep(0.1)
