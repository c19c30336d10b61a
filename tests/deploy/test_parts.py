"""Gateway and node as processes, from the rendered chart: rows go from a training through its node to the gateway."""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.charts import NAMESPACE, PLATFORM, Rendered, Values, over, render
from deploy.processes import WITHIN, Pod, pod
from memory import make_folder
from waiting import until

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

TOKENS = "writer writerwriterwriter\nreader readerreaderreader\n"
GATEWAY = f"http://demo-wayside-gateway.{NAMESPACE}.svc:9750"
SECRETS = {"demo-wayside-gateway-tokens/authorization": "Bearer writerwriterwriter"}
SCRIPT = "import wayside\nfor n in range(50): n or wayside.init(id='r1'); wayside.log({'loss': 1.0}, step=n)"


def files(found: Rendered, name: str) -> dict[str, str]:
    data: dict[str, str] = found.one("ConfigMap", name)["data"]
    return data


def spec(found: Rendered, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = found.one(kind)["spec"]["template"]["spec"]
    return made


def values() -> Values:
    """The chart with every part, a training that uses its node, and files small enough for a test's disk."""
    job = {"image": {"repository": "registry.example/train"}, "command": ["python", "-c", SCRIPT]}
    node = {"config": {"sources": {"host": {}, "nvidia": False, "amd": False}}}
    return over(
        PLATFORM["nodes"],
        {"gateway": {"enabled": True}, "feed": {"endpoint": "", "existingSecret": ""}, "job": job, "node": node},
    )


@pytest.fixture
def rendered(helm: Path) -> Rendered:
    return render(helm, values(), base={})


@pytest.fixture
def gateway(rendered: Rendered, tmp_path: Path) -> Iterator[Pod]:
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    (tokens / "tokens").write_text(TOKENS)
    (tmp_path / "gateway").mkdir()
    folders = {"/etc/wayside-tokens": tokens}
    with pod(
        spec(rendered, "StatefulSet"), files(rendered, "demo-wayside-gateway"), tmp_path / "gateway", folders=folders
    ) as made:
        (container,) = made.spec["containers"]
        made.start(container)
        made.wait_for_probe(container, "startupProbe")
        yield made


def ask(gateway: Pod, path: str) -> Any:
    request = urllib.request.Request(
        f"{gateway.public_url}/api/v1/{path}", headers={"Authorization": "Bearer readerreaderreader"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_the_gateway_s_own_test_passes(rendered: Rendered, gateway: Pod, tmp_path: Path) -> None:
    """The pod of `helm test` writes by the one token, reads by the other, and ends with 0; with wrong tokens it does
    not.
    """
    test = rendered.one("Pod", "demo-wayside-gateway-test")
    names = {GATEWAY: gateway.public_url}
    (tmp_path / "test").mkdir()
    with pod(test["spec"], {}, tmp_path / "test", labels=False, folders=gateway.folders, names=names) as made:
        assert made.run() == 0, made.said("rows")
    (found,) = ask(gateway, "runs")["runs"]
    assert (found["step"], found["state"]) == (9, "finished")
    wrong = tmp_path / "wrong"
    (wrong / "tokens").mkdir(parents=True)
    (wrong / "tokens" / "tokens").write_text(TOKENS.replace("writerw", "another"))
    with pod(
        test["spec"], {}, wrong, labels=False, folders={"/etc/wayside-tokens": wrong / "tokens"}, names=names
    ) as made:
        assert made.run() != 0
        assert "401" in made.said("rows")


def test_from_a_training_through_its_node_to_the_gateway(rendered: Rendered, gateway: Pod, tmp_path: Path) -> None:
    """A training without a sidecar logs into its node's collector, which feeds the gateway: every row is in its store,
    and the node's hardware beside it.
    """
    folders = {"/var/lib/wayside": tmp_path / "node" / "lib", "/run/wayside": make_folder("node-")}
    (folders["/var/lib/wayside"] / "node").mkdir(parents=True)
    names = {GATEWAY: gateway.public_url, **SECRETS}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folders["/run/wayside"])
        node = stack.enter_context(
            pod(
                spec(rendered, "DaemonSet"),
                files(rendered, "demo-wayside-node"),
                tmp_path / "node",
                folders=folders,
                names=names,
            )
        )
        (container,) = node.spec["containers"]
        node.start(container)
        node.wait_for_probe(container, "startupProbe")
        mine = {"/var/lib/wayside": tmp_path / "node" / "lib" / "pods" / "uid", "/run/wayside": folders["/run/wayside"]}
        training = stack.enter_context(pod(rendered.pod, {}, tmp_path / "training", folders=mine))
        assert training.run() == 0, training.said("trainer")

        def arrived() -> bool:
            runs = ask(gateway, "runs")["runs"]
            return bool(runs) and runs[0]["step"] == 49 and runs[0]["state"] == "finished"

        until(arrived, f"the run; the node said {node.said('node')}", within=WITHIN)
        assert ask(gateway, "runs")["total"] == 1
        assert node.end("node") == 0


def test_the_gateway_tells_who_it_is(rendered: Rendered, gateway: Pod) -> None:
    """Without a token its public address gives nothing but metrics and probes; within the pod everything."""
    with urllib.request.urlopen(f"{gateway.url}/status", timeout=10) as answer:
        status = json.load(answer)
    assert status["ready"] is True
    assert set(status["sinks"]) == {"store"}
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{gateway.public_url}/status", timeout=10)
    assert yaml.safe_load((gateway.folders["/etc/wayside"] / "wayside.yaml").read_text())["sources"] == {}
