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
from deploy.charts import CHART, NAMESPACE, RELEASE, VARIATIONS, Values
from standins.kubernetes_api import Cluster, serve

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

HELM_4 = """
import asyncio, json, sys
from helm_sdkpy.actions import Configuration, Install
from helm_sdkpy.chart import Lint

async def main():
    chart, release, namespace, kubeconfig = sys.argv[1:]
    helm = Configuration(namespace=namespace, kubeconfig=kubeconfig)
    linted = await Lint(helm).run(chart)
    found = {"lint": [message["Severity"] for message in linted["Messages"]]}
    for name, values in json.load(sys.stdin).items():
        try:
            made = await Install(helm).run(f"{release}-{len(found)}", chart, values=values, wait=False)
            found[name] = {"manifest": made["manifest"], "notes": made["info"]["notes"]}
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

    def run(self, command: str, values: Values | None = None) -> str:
        """What Helm says; the changes it made are the cluster's afterwards."""
        self.cluster.changes.clear()
        options = ["--kubeconfig", str(self.kubeconfig), "--namespace", NAMESPACE]
        if values is None:
            arguments = [str(self.helm), command, RELEASE, *options]
        else:
            # The stand-in has no schemas to check with; other tests do that.
            options += ["--values", "-", "--disable-openapi-validation"]
            arguments = [str(self.helm), command, RELEASE, str(CHART), *options]
        done = subprocess.run(arguments, input=json.dumps(values), capture_output=True, text=True)
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
    site.run("install", VARIATIONS["Prometheus operator"])
    assert len(site.cluster.of("PodMonitor")) == 1
    site.run("uninstall")
    assert site.cluster.objects == {}


def test_notes_tell_of_a_key_that_is_missing(site: Site) -> None:
    """The notes say that the W&B sink has no key, and no longer when it has one."""
    wandb = {"collector": {"config": {"sinks": {"wandb": {"max_dir_size": "1GiB"}}}}}
    assert "The sink wandb has no key yet" in site.run("install", wandb)
    assert "no key yet" not in site.run("upgrade", {**wandb, "wandb": {"existingSecret": "keys"}})


@pytest.fixture(scope="module")
def by_helm_4(helm_4: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Helm 4 makes of every variation, and of one that is wrong."""
    asked = {**VARIATIONS, "wrong": {"collector": {"port": 0}}}
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


def test_helm_4_lints(by_helm_4: dict[str, Any]) -> None:
    """Helm 4's lint has nothing to say but that the icon is missing (severity 1, info)."""
    assert by_helm_4["lint"] == [1]


def test_helm_4_renders_the_same(by_helm_4: dict[str, Any], helm: Path) -> None:
    """Helm 4 makes of every variation what Helm 3 makes of it, but for the release's name, which is another here."""
    for number, (name, values) in enumerate(VARIATIONS.items(), start=1):
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
        assert list(yaml.safe_load_all(found["manifest"])) == list(yaml.safe_load_all(done.stdout)), name


def test_helm_4_refuses_with_the_values_path(by_helm_4: dict[str, Any]) -> None:
    """What the schema refuses, Helm 4 names as well."""
    assert "/collector/port" in by_helm_4["wrong"]["refused"]
