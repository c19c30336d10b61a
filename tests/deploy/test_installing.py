"""Helm 3 and Helm 4 install, upgrade and remove the chart, at a stand-in for the Kubernetes API server."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.charts import CHART, JOB, NAMESPACE, PLATFORM, RELEASE, VARIATIONS, Values, over
from deploy.test_rendering import ALL
from standins.kubernetes_api import Cluster, serve

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

HELM_4 = """
import asyncio, json, sys
from helm_sdkpy.actions import Configuration, Install, Uninstall
from helm_sdkpy.chart import Lint

async def main():
    chart, release, namespace, kubeconfig = sys.argv[1:]
    helm = Configuration(namespace=namespace, kubeconfig=kubeconfig)
    linted = await Lint(helm).run(chart)
    found = {"lint": [message["Severity"] for message in linted["Messages"]]}
    for name, values in json.load(sys.stdin).items():
        try:
            made = await Install(helm).run(f"{release}-{len(found)}", chart, values=values, wait=False)
            await Uninstall(helm).run(f"{release}-{len(found)}", wait=False)
            found[name] = {"manifest": made.get("manifest", "")}
        except Exception as problem:
            found[name] = {"refused": str(problem)}
    print(json.dumps(found))

asyncio.run(main())
"""


@dataclass(frozen=True)
class Site:
    """A cluster, and Helm 3 as a person uses it there."""

    cluster: Cluster
    helm: Path
    kubeconfig: Path

    def run(self, command: str, values: Values | None = None, base: Values = JOB) -> str:
        """What Helm says; the changes it made are the cluster's afterwards. base: beneath the values."""
        self.cluster.changes.clear()
        options = ["--kubeconfig", str(self.kubeconfig), "--namespace", NAMESPACE]
        if values is None:
            arguments = [str(self.helm), command, RELEASE, *options]
        else:
            # The stand-in has no schemas to check with; other tests do that.
            options += ["--values", "-", "--disable-openapi-validation"]
            arguments = [str(self.helm), command, RELEASE, str(CHART), *options]
        text = json.dumps(over(base, values or {}))
        done = subprocess.run(arguments, input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def site(helm: Path, tmp_path: Path) -> Iterator[Site]:
    with serve(tmp_path) as (cluster, kubeconfig):
        yield Site(cluster, helm, kubeconfig)


def test_install(site: Site) -> None:
    """An installation makes a Job, its configuration and its account, and the notes name the Job and its pods."""
    notes = site.run("install", {})
    assert {(verb, kind) for verb, kind, _ in site.cluster.changes} == {
        ("create", "ServiceAccount"),
        ("create", "ConfigMap"),
        ("create", "Job"),
    }
    (job,) = site.cluster.of("Job")
    assert f"The Job {job['metadata']['name']} runs with a collector" in notes
    selector = next(line.split(" -l ")[1] for line in notes.splitlines() if " get pods " in line)
    wanted = dict(part.split("=") for part in selector.split(","))
    assert wanted.items() <= job["spec"]["template"]["metadata"]["labels"].items()


def test_an_upgrade_that_changes_nothing_leaves_the_training_alone(site: Site) -> None:
    """The same values again touch no object."""
    site.run("install", {})
    site.run("upgrade", {})
    assert site.cluster.changes == []


def test_an_upgrade_that_changes_the_pods_makes_a_new_job(site: Site) -> None:
    """Another configuration ends in one Job, a new one: the old one's pods cannot be changed, and it is gone."""
    site.run("install", {})
    (old,) = site.cluster.of("Job")
    site.run("upgrade", {"collector": {"config": {"grace": 20}}})
    (new,) = site.cluster.of("Job")
    assert new["metadata"]["name"] != old["metadata"]["name"]
    verbs = [(verb, kind) for verb, kind, _ in site.cluster.changes]
    assert sorted(verbs) == [("create", "Job"), ("delete", "Job"), ("patch", "ConfigMap")]


def test_an_upgrade_takes_the_collector_away(site: Site) -> None:
    """With collector.enabled false the ConfigMap goes, and the notes say that no collector runs."""
    site.run("install", {})
    notes = site.run("upgrade", {"collector": {"enabled": False}})
    assert site.cluster.of("ConfigMap") == []
    assert "runs without a collector" in notes


def test_removal_leaves_nothing(site: Site) -> None:
    """`helm uninstall` takes everything away that was made."""
    site.run("install", VARIATIONS["prometheus operator"])
    assert len(site.cluster.of("PodMonitor")) == 1
    site.run("uninstall")
    assert site.cluster.objects == {}


def test_notes_tell_of_a_key_that_is_missing(site: Site) -> None:
    """The notes say that the W&B sink has no key, and no longer when it has one."""
    wandb = {"collector": {"config": {"sinks": {"wandb": {"max_dir_size": "1GiB"}}}}}
    assert "The sink wandb has no key yet" in site.run("install", wandb)
    assert "no key yet" not in site.run("upgrade", {**wandb, "wandb": {"existingSecret": "keys"}})


def test_a_gateway_keeps_its_tokens(site: Site) -> None:
    """The tokens are made at the first installation; an upgrade leaves them, as it leaves everything else."""
    site.run("install", {}, {})
    (made,) = [one for one in site.cluster.of("Secret") if one["type"] == "Opaque"]
    assert set(made["data"]) == {"authorization", "tokens"}
    site.run("upgrade", {}, {})
    assert site.cluster.changes == []
    site.run("upgrade", {"gateway": {"config": {"grace": 20}}}, {})
    kinds = {kind for _, kind, _ in site.cluster.changes}
    assert kinds == {"ConfigMap", "StatefulSet"}, "the configuration, and the pods that read it at their start"
    (left,) = [one for one in site.cluster.of("Secret") if one["type"] == "Opaque"]
    assert left["data"] == made["data"]


def test_parts_come_and_go(site: Site) -> None:
    """An upgrade adds every part and takes them away again, and a removal leaves nothing."""
    site.run("install", PLATFORM["nothing"], {})
    assert site.cluster.changes == []
    site.run("upgrade", PLATFORM["everything"], {})
    assert {"StatefulSet", "DaemonSet", "Job", "Ingress", "NetworkPolicy", "ServiceMonitor"} <= {
        kind for _, kind, _ in site.cluster.changes
    }
    site.run("upgrade", PLATFORM["nothing"], {})
    assert {verb for verb, _, _ in site.cluster.changes} == {"delete"}
    site.run("upgrade", PLATFORM["everything"], {})
    site.run("uninstall")
    assert site.cluster.objects == {}


def test_notes_lead_to_the_gateway(site: Site) -> None:
    """The notes name the gateway's address, its pods' set, and the Secret with the tokens that there is."""
    notes = site.run("install", {}, {})
    (service,) = site.cluster.of("Service")
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert f"http://{name}.{NAMESPACE}.svc:{port}" in notes
    assert f"statefulset/{name}" in notes
    assert "get secret demo-wayside-gateway-tokens -o go-template='{{ .data.tokens | base64decode }}'" in notes


@pytest.fixture(scope="module")
def by_helm_4(helm_4: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Helm 4 makes of every variation, and of one that is wrong."""
    asked = {**ALL, "wrong": {"collector": {"port": 0}}}
    with serve(tmp_path_factory.mktemp("helm-4")) as (_, kubeconfig):
        done = subprocess.run(
            [helm_4, "-c", HELM_4, CHART, RELEASE, NAMESPACE, kubeconfig],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            env={**os.environ, "HELM_DRIVER": "memory"},  # its Secrets would come as Protobuf
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def comparable(manifest: str) -> list[Any]:
    """A rendering's objects, without the tokens, which are random."""
    found = [one for one in yaml.safe_load_all(manifest) if one]
    for one in found:
        if one["kind"] == "Secret":
            one["data"] = sorted(one["data"])
    return sorted(found, key=lambda one: (one["kind"], one["metadata"]["name"]))


def test_helm_4_lints(by_helm_4: dict[str, Any]) -> None:
    """Helm 4's lint has nothing to say but that the icon is missing (severity 1, info)."""
    assert by_helm_4["lint"] == [1]


def test_helm_4_renders_the_same(by_helm_4: dict[str, Any], helm: Path) -> None:
    """Helm 4 makes of every variation what Helm 3 makes of it, but for the release's name, which is another here."""
    for number, (name, values) in enumerate(ALL.items(), start=1):
        found = by_helm_4[name]
        assert "refused" not in found, (name, found)
        release = f"{RELEASE}-{number}"
        options = ["--kube-version", "1.33", "--no-hooks"]
        done = subprocess.run(
            [helm, "template", release, CHART, "--namespace", NAMESPACE, "--values", "-", *options],
            input=json.dumps(values),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert comparable(found["manifest"]) == comparable(done.stdout), name


def test_helm_4_refuses_with_the_values_path(by_helm_4: dict[str, Any]) -> None:
    """What the schema refuses, Helm 4 names as well."""
    assert "/collector/port" in by_helm_4["wrong"]["refused"]
