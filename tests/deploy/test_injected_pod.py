"""An injected pod runs: its containers as processes with namespaces, users and groups of their own.

Two containers whose images know nothing of Wayside log with wandb; what they logged is in the collector's files.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploy.charts import ROOT
from deploy.containers import Node, can, wait_until
from deploy.dockerfile import final_stage
from deploy.injecting import patched, rendered_plan
from memory import make_folder
from wayside_collector.injection.pod import inject

pytestmark = [
    pytest.mark.timeout(600),  # the first test that runs installs the tools
    pytest.mark.skipif(not can(), reason="namespaces and users of their own need root and the right to make them"),
]

ROWS = 40
PACKAGES = Path(sysconfig.get_path("purelib"))
FACTS = {
    "metadata.name": "two-0",
    "metadata.uid": "0b8f3c1e-pod",
    "metadata.namespace": "ml",
    "spec.nodeName": "node-1",
    "metadata.labels['batch.kubernetes.io/controller-uid']": "5d2a9c44-job",
}
SCRIPT = f"""
import sys
import wandb

run = wandb.init(project="mine", name=sys.argv[1])
for step in range({ROWS}):
    wandb.log({{"loss": 1 / (step + 1), "who/" + sys.argv[1]: step}})
wandb.finish()
import own, wayside
print("client", wayside.__file__, "own", own.started, flush=True)
"""
#: Logs until it is told to end, and four seconds longer.
TERMINATED = """
import signal, sys, time
import wandb

told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(time.monotonic()))
wandb.init(project="mine", name=sys.argv[1])
step = 0
while not told or time.monotonic() < told[0] + 4:
    wandb.log({"who/" + sys.argv[1]: step})
    step += 1
    if step == 10:
        print("logging", flush=True)
    time.sleep(0.005)
print("logged", step, flush=True)
"""
#: Values of a collector that keeps what it gets in files.
VALUES = {
    "gateway": {"enabled": False},
    "collector": {"config": {"sinks": {"jsonl": {}}, "sources": {}, "grace": "20s"}},
    "data": {"sizeLimit": "20Gi"},
}


def training(*, group: int | None) -> dict[str, Any]:
    def container(name: str, user: int) -> dict[str, Any]:
        return {
            "name": name,
            "image": "registry.example/train:v1",
            "command": [sys.base_prefix + "/bin/python3", "/app/train.py", name],
            "env": [{"name": "PYTHONPATH", "value": f"/app:{PACKAGES}"}, {"name": "WANDB_MODE", "value": "disabled"}],
            "securityContext": {"runAsUser": user, "runAsGroup": user},
        }

    context = {} if group is None else {"securityContext": {"fsGroup": group}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "two-0", "labels": {"batch.kubernetes.io/controller-uid": "5d2a9c44-job"}},
        "spec": {**context, "containers": [container("train", 1000), container("evaluate", 1001)]},
    }


def make_volumes(pod: dict[str, Any], root: Path, group: int | None) -> dict[str, Path]:
    """Folders as kubelet makes them of emptyDirs: for everybody, and with an fsGroup for it, and setgid."""
    found = {}
    for volume in pod["spec"]["volumes"]:
        memory = volume["emptyDir"].get("medium") == "Memory"
        folder = make_folder("volume-") if memory else root / volume["name"]
        folder.mkdir(exist_ok=True)
        os.chown(folder, 0, group or 0)
        folder.chmod(0o777 if group is None else 0o2777)
        found[volume["name"]] = folder
    return found


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """What the trainings' image has: a script, and a sitecustomize of its own."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    (folder / "own.py").write_text("started = False\n")
    (folder / "sitecustomize.py").write_text("import own\nown.started = True\n")
    return folder


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """The collector's image has the client unpacked."""
    folder = tmp_path / "packages"
    shutil.copytree(ROOT / "client" / "wayside", folder / "wayside", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(params=[None, pytest.param(2000, marks=pytest.mark.long)], ids=["no-group", "fsGroup"])
def node(
    request: pytest.FixtureRequest, helm: Path, tmp_path: Path, app: Path, client: Path
) -> Iterator[tuple[Node, dict[str, Any]]]:
    _, plan = rendered_plan(helm, tmp_path, VALUES)
    pod = training(group=request.param)
    pod = patched(pod, inject(pod, plan).patch)
    tmp_path.chmod(0o755)
    roots = tmp_path / "roots"
    roots.mkdir()
    made = Node(roots, make_volumes(pod, tmp_path, request.param), FACTS, request.param)
    try:
        yield made, pod["spec"]
    finally:
        made.close()
        for folder in made.volumes.values():
            shutil.rmtree(folder, ignore_errors=True)


def delivered(data: Path) -> Counter[str]:
    """Rows in the collector's files, by who logged them."""
    found: Counter[str] = Counter()
    for path in data.rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            metrics = json.loads(line).get("metrics", {})
            found.update(name for name in metrics if name.startswith("who/"))
    return found


class Running:
    """The pod's containers, started in kubelet's order."""

    def __init__(self, node: Node, spec: dict[str, Any], app: Path, client: Path) -> None:
        self.node = node
        self.spec = spec
        self._app = {"/app": app, str(PACKAGES): PACKAGES}
        node.volumes["client"] = client

    def collector(self, name: str = "wayside", **environ: str) -> "subprocess.Popen[bytes]":
        """environ: over the pod's."""
        image = {str(path): path for path in (Path(sys.prefix), ROOT / "client", ROOT / "collector")}
        found = self.spec["initContainers"][0]
        env = [one for one in found["env"] if one["name"] not in environ]
        env += [{"name": key, "value": value} for key, value in environ.items()]
        made = {**found, "name": name, "env": env, "command": [sys.executable, "-m", "wayside_collector"]}
        return self.node.start(made, image, {**final_stage().pairs("ENV"), "PATH": os.defpath}, (65532, 65532))

    def copy_client(self) -> None:
        found = self.spec["initContainers"][1]
        mount = {"name": "client", "mountPath": "/opt/wayside/client/packages", "readOnly": True}
        made = {
            **found,
            "command": ["/bin/cp", *found["command"][1:]],
            "volumeMounts": [*found["volumeMounts"], mount],
        }
        process = self.node.start(made, {}, {"PATH": os.defpath}, (65532, 65532))
        assert process.wait(60) == 0, self.node.said("wayside-client")

    def training(self, container: dict[str, Any]) -> "subprocess.Popen[bytes]":
        user = container["securityContext"]["runAsUser"]
        return self.node.start(container, self._app, {"PATH": os.defpath, "HOME": "/tmp"}, (user, user))


def test_an_unchanged_script_is_heard(node: tuple[Node, dict[str, Any]], app: Path, client: Path) -> None:
    """Two containers of different users, in process and network namespaces of their own, log with wandb; every row is
    in the collector's files, with and without a group for the pod, and the image's own start-up code has run.
    """
    here, spec = node
    pod = Running(here, spec, app, client)
    running = pod.collector()
    pod.copy_client()
    trainings = {container["name"]: pod.training(container) for container in spec["containers"]}
    for name, process in trainings.items():
        assert process.wait(120) == 0, here.said(name)
        said = here.said(name)
        assert "client /opt/wayside/inject/wayside/__init__.py own True" in said, said
    expected = {f"who/{name}": ROWS for name in trainings}
    data = here.volumes["wayside-data"]
    wait_until(
        lambda: delivered(data) == expected, lambda: f"{delivered(data)}\n{here.said('wayside')}{here.said('train')}"
    )
    assert here.terminate(running) == 0, here.said("wayside")
    assert delivered(data) == expected


@pytest.mark.long
def test_a_grace_period_that_the_training_used_up(node: tuple[Node, dict[str, Any]], app: Path, client: Path) -> None:
    """Of five seconds the training takes four and logs on; the collector, which cannot deliver and would like fifty, is
    killed after the fifth. No row is lost: a later collector on the same folder delivers each once.
    """
    here, spec = node
    (app / "train.py").write_text(TERMINATED)
    pod = Running(here, spec, app, client)
    away = {"gateway": {"endpoint": "http://127.0.0.1:9"}}
    running = pod.collector(WAYSIDE_SINKS=json.dumps(away), WAYSIDE_GRACE="50s")
    pod.copy_client()
    training = pod.training(spec["containers"][0])
    wait_until(lambda: "logging" in here.said("train"), lambda: here.said("train") + here.said("wayside"))
    here.signal(training, signal.SIGTERM)
    assert training.wait(60) == 0, here.said("train")
    here.signal(running, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(1)
    assert here.kill(running) != 0, "it had time to end, so this test shows nothing"
    logged = int(here.said("train").rpartition("logged ")[2])
    data = here.volumes["wayside-data"]
    assert delivered(data) == {}
    pod.collector("later", WAYSIDE_SINKS=json.dumps({**away, "jsonl": {}}))
    expected = {"who/train": logged}
    wait_until(lambda: delivered(data) == expected, lambda: f"{delivered(data)} of {logged}\n{here.said('later')}")
