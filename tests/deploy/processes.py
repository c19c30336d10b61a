"""A rendered pod as processes of this machine: containers start in kubelet's order, with the environment of the pod.

The folders that the pod's volumes stand for lie below one folder, and the paths in arguments, environment and
configuration are mapped into it; the socket's folder lies in memory, as in the pod. Users, cgroups and namespaces are
this process's own. Everything that was started is gone when the pod is left.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.dockerfile import final_stage
from memory import make_folder

#: What the downward API tells here.
FACTS = {
    "metadata.name": "demo-wayside-0-abcde",
    "metadata.uid": "0b8f3c1e-pod",
    "metadata.namespace": "training",
    "spec.nodeName": "node-1",
    "metadata.labels['batch.kubernetes.io/controller-uid']": "5d2a9c44-job",
}
WITHIN = 60.0  # seconds for whatever is waited for


@dataclass
class Pod:
    """One pod. folders: path in a container to the folder it stands for. names: what else is called otherwise here,
    such as a Service's address.
    """

    spec: dict[str, Any]
    folders: dict[str, Path]
    labels: bool = True
    names: dict[str, str] = field(default_factory=dict)
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, container: dict[str, Any]) -> "subprocess.Popen[bytes]":
        """The process of a container, whose output goes to a file of its name."""
        log = self.folders["/logs"] / container["name"]
        with log.open("ab") as output:
            process = subprocess.Popen(
                self._command(container),
                env=self._environment(container),
                cwd=self.folders["/var/lib/wayside"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.running[container["name"]] = process
        return process

    def said(self, name: str) -> str:
        return (self.folders["/logs"] / name).read_text()

    @property
    def url(self) -> str:
        """Where the collector answers, as it left it beside its socket."""
        note = self.folders["/run/wayside"] / "collector.json"
        found: str = json.loads(note.read_text())["url"]
        return found.rstrip("/")

    @property
    def public_url(self) -> str:
        """Where it answers those outside of the pod."""
        with urllib.request.urlopen(f"{self.url}/status", timeout=5) as answer:
            found: str = json.load(answer)["listen_public"]
        return found.rstrip("/")

    def probe(self, container: dict[str, Any], name: str) -> bool:
        """Whether a probe of a container succeeds now; kubelet comes from outside."""
        try:
            with urllib.request.urlopen(self.public_url + container[name]["httpGet"]["path"], timeout=5) as answer:
                return 200 <= answer.status < 400
        except (OSError, ValueError, urllib.error.URLError):
            return False

    def wait_for_probe(self, container: dict[str, Any], name: str) -> None:
        until = time.monotonic() + WITHIN
        while not self.probe(container, name):
            process = self.running[container["name"]]
            assert process.poll() is None, f"{container['name']} ended: {self.said(container['name'])}"
            assert time.monotonic() < until, f"{name} never succeeded: {self.said(container['name'])}"
            time.sleep(0.05)

    def run(self) -> int:
        """The pod's life: init containers in order, sidecars staying, then the containers; the training's exit code."""
        for container in self.spec.get("initContainers", ()):
            process = self.start(container)
            if container.get("restartPolicy") != "Always":
                code = process.wait(WITHIN)
                assert code == 0, f"{container['name']} ended with {code}: {self.said(container['name'])}"
            elif "startupProbe" in container:
                self.wait_for_probe(container, "startupProbe")
        (container,) = self.spec["containers"]
        return self.start(container).wait(WITHIN)

    def end(self, name: str, how: int = signal.SIGTERM) -> int:
        """Signal a container's process; its exit code."""
        self.running[name].send_signal(how)
        return self.running[name].wait(WITHIN)

    def map(self, text: str) -> str:
        for path, folder in self.folders.items():
            text = text.replace(path, str(folder))
        for there, here in self.names.items():
            text = text.replace(there, here)
        return text

    def _command(self, container: dict[str, Any]) -> list[str]:
        command = container.get("command") or final_stage().words("ENTRYPOINT")
        arguments = container.get("args") or ([] if "command" in container else final_stage().words("CMD"))
        here = Path(sys.executable).parent
        return [str(here / command[0]), *(self.map(part) for part in [*command[1:], *arguments])]

    def _fact(self, source: dict[str, Any]) -> str:
        """What a variable gets from the pod, or from a Secret: those that were given, by `name/key`."""
        if "secretKeyRef" in source:
            return self.names["{name}/{key}".format(**source["secretKeyRef"])]
        path = source["fieldRef"]["fieldPath"]
        return "" if "labels" in path and not self.labels else FACTS[path]

    def _environment(self, container: dict[str, Any]) -> dict[str, str]:
        """The image's, as far as we know it, then the container's; nothing of this process's."""
        ours = container["image"].startswith("wayside-collector:")
        environ = {**(final_stage().pairs("ENV") if ours else {}), "PATH": os.defpath}
        for entry in container.get("env", ()):
            value = entry.get("value")
            if value is None:
                value = self._fact(entry["valueFrom"])
            environ[entry["name"]] = value
        # Any free ports: those that were found are then told to whoever asks for them.
        environ["WAYSIDE_LISTEN"] = environ["WAYSIDE_LISTEN_PUBLIC"] = "127.0.0.1:0"
        if "WAYSIDE_PORT" in environ:
            environ["WAYSIDE_PORT"] = self.url.rpartition(":")[2]
        return {name: self.map(value) for name, value in environ.items()}


@contextmanager
def pod(
    spec: dict[str, Any],
    files: dict[str, str],
    root: Path,
    *,
    labels: bool = True,
    folders: dict[str, Path] | None = None,
    names: dict[str, str] | None = None,
) -> Iterator[Pod]:
    """A pod below `root`. files: the ConfigMap's. labels: whether a Job made it. folders: those that it shares with
    others, or finds full. names: as of `Pod`, and values of Secrets by `name/key`.
    """
    memory = make_folder("pod-")
    found = {
        **(folders or {}),  # first: their paths may begin like those of the others
        "/run/wayside": (folders or {}).get("/run/wayside", memory),
        "/var/lib/wayside": (folders or {}).get("/var/lib/wayside", root / "data"),
        "/etc/wayside": root / "config",
        "/logs": root / "logs",
    }
    for folder in found.values():
        folder.mkdir(exist_ok=True, parents=True)
    made = Pod(spec, found, labels, names or {})
    for name, text in files.items():
        (found["/etc/wayside"] / name).write_text(made.map(text))
    try:
        yield made
    finally:
        for process in made.running.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(memory)
