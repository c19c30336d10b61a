"""A node with its real users: the folders are made as root, a sidecar and the node's collector are nobody in
particular, the training is somebody else. What a deleted pod left is delivered all the same.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from deploy.charts import PLATFORM, ROOT, render
from e2e.gateways import Gateway, feeding
from memory import make_folder
from waiting import until

pytestmark = [
    pytest.mark.long,  # twenty seconds of it are the node's own waiting
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users: run these tests as root"),
]

#: Others may not enter the home of whoever runs the tests, so the interpreter there is none for them.
PYTHON = "/usr/bin/python3"
COLLECTOR = {"user": 65532, "group": 65532, "extra_groups": []}
TRAINING = {"user": 1000, "group": 1000, "extra_groups": [65532]}  # the pod's fsGroup
ROWS = 100


@dataclass
class Node:
    """Its folders, and everything that was started on it. lib: what stands for /var/lib/wayside."""

    root: Path
    started: list["subprocess.Popen[bytes]"]

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def lib(self) -> Path:
        return self.root / "lib"

    def start(self, who: dict[str, object], log: Path, *arguments: str, **environ: str) -> "subprocess.Popen[bytes]":
        paths = [ROOT / "client", ROOT / "collector", *(ROOT / ".venv" / "lib").glob("python3*/site-packages")]
        given = {
            "PATH": os.defpath,
            "PYTHONPATH": ":".join(map(str, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "WAYSIDE_LISTEN": "127.0.0.1:0",
            "HOME": str(self.root),
            **environ,
        }
        with log.open("wb") as said:
            process = subprocess.Popen([PYTHON, *arguments], env=given, cwd="/", stdout=said, stderr=said, **who)  # type: ignore[call-overload]
        self.started.append(process)
        return process


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node(make_folder("node-"), [])
    made.root.chmod(0o755)
    probe = made.start(COLLECTOR, made.root / "probe", "-c", "import wayside_collector.daemon")
    if probe.wait(60):
        pytest.skip(f"another user cannot run this tree: {(made.root / 'probe').read_text()[-300:]}")
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.wait()
    shutil.rmtree(made.root)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "gateway")
    yield made
    made.machine.close()


def test_what_a_deleted_pod_left(helm: Path, node: Node, gateway: Gateway, tmp_path: Path) -> None:
    """Rows of a sidecar's spool, and rows that a training of another user kept while there was none, come to the
    gateway; and the node's collector may remove the folder.
    """
    daemons = render(helm, PLATFORM["nodes that adopt"], base={}).one("DaemonSet")["spec"]["template"]["spec"]
    for folder in (node.run, node.lib):
        folder.mkdir(mode=0o755)  # as kubelet makes what a hostPath wants
    (folders,) = daemons["initContainers"]
    script = folders["command"][2].replace("/run/wayside", str(node.run)).replace("/var/lib/wayside", str(node.lib))
    subprocess.run(["sh", "-euc", script], check=True)
    pod = node.lib / "pods" / "uid-1"
    pod.mkdir()
    pod.chmod(0o2777)  # as kubelet makes the folder of a subPathExpr: the mode of the volume around it
    memory = node.root / "memory"
    memory.mkdir()
    os.chown(memory, 0, 65532)
    memory.chmod(0o2777)  # an emptyDir of the pod's fsGroup

    config = node.root / "sidecar.yaml"
    config.write_text(yaml.safe_dump(feeding(gateway.endpoint)))
    places = {"WAYSIDE_SOCKET": f"{memory}/wayside.sock", "WAYSIDE_DIR": str(pod)}
    sidecar_log = tmp_path / "sidecar.log"
    sidecar = node.start(COLLECTOR, sidecar_log, "-m", "wayside_collector", "run", "--config", str(config), **places)
    until(lambda: (memory / "collector.json").exists(), "the sidecar's note", within=60)
    train(node, tmp_path, "r1", places)
    until(
        lambda: sidecar_log.read_text().count("ended") >= 1, f"the session's end; {sidecar_log.read_text()}", within=60
    )
    sidecar.kill()
    sidecar.wait()
    (memory / "wayside.sock").unlink()
    train(node, tmp_path, "r2", places)
    shutil.rmtree(memory)

    there = gateway.start()
    adopting = {**feeding(gateway.endpoint), "adopt": {"below": [str(node.lib / "pods")], "sinks": ["gateway"]}}
    config.write_text(yaml.safe_dump({**adopting, "log": {"format": "json"}}))
    ours = {"WAYSIDE_SOCKET": f"{node.run}/wayside.sock", "WAYSIDE_DIR": str(node.lib / "node")}
    begun = time.monotonic()
    log = tmp_path / "node.log"
    node.start(COLLECTOR, log, "-m", "wayside_collector", "run", "--config", str(config), **ours)

    def arrived() -> bool:
        return all(len(gateway.machine.rows(run)) == ROWS for run in ("r1", "r2"))

    until(arrived, f"both runs; {log.read_text()}", within=180)
    print(f"delivered {time.monotonic() - begun:.0f} s after the node's collector began")
    for run in ("r1", "r2"):
        assert [row["step"] for row in gateway.machine.rows(run)] == list(range(ROWS))
    until(lambda: not list((pod / "journals").glob("*")), f"the kept journals' end; {log.read_text()}", within=60)
    levels = {json.loads(line)["level"].lower() for line in log.read_text().splitlines()}
    assert levels
    assert not levels & {"error", "warning"}, log.read_text()
    removal = node.start(COLLECTOR, tmp_path / "removal", "-c", f"import shutil; shutil.rmtree({str(pod)!r})")
    assert removal.wait(60) == 0, (tmp_path / "removal").read_text()
    assert there.stop() == 0


def train(node: Node, folder: Path, run: str, places: dict[str, str]) -> None:
    """A training of its own user, to its end."""
    script = f"import wayside\nfor n in range({ROWS}): n or wayside.init(id={run!r}); wayside.log({{'n': n}}, step=n)"
    log = folder / f"{run}.log"
    process = node.start(TRAINING, log, "-c", script, WAYSIDE_SHARED_MEMORY=str(node.root / "memory"), **places)
    assert process.wait(60) == 0, log.read_text()
