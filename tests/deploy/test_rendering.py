"""Helm renders the chart, whatever is set, into objects that Kubernetes takes."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import wayside
import yaml
from deploy.charts import CHART, NAMESPACE, VARIATIONS, Rendered, render, run_helm
from wayside_collector import __version__

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

VALIDATE = """
import functools, json, sys
from kubernetes_validate import utils
utils.schema_contents = functools.lru_cache(utils.schema_contents)
problems = []
for version, found in json.load(sys.stdin):
    try:
        utils.validate(found, version, strict=True)
    except Exception as problem:
        problems.append(f"{version} {found['kind']}: {getattr(problem, 'message', problem)}")
print("\\n".join(problems))
"""
KUBERNETES = ("1.29", "1.33", "1.37")  # the oldest with native sidecars, the first where they are stable, the newest
STANDARD = {
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
}


def validate(validator: Path, pairs: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """What Kubernetes's own schemas, in their strict form, say against these objects."""
    done = subprocess.run([validator, "-c", VALIDATE], input=json.dumps(pairs), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.fixture(params=VARIATIONS, ids=lambda name: name.replace(" ", "-"))
def rendered(request: pytest.FixtureRequest, helm: Path) -> Rendered:
    return render(helm, VARIATIONS[request.param])


def test_kubernetes_takes_every_object(helm: Path, validator: Path) -> None:
    """Everything rendered, in every variation, is valid by the strict schemas of three versions of Kubernetes."""
    found: dict[str, dict[str, Any]] = {}
    for values in VARIATIONS.values():
        for one in render(helm, values).objects:
            if one["kind"] != "PodMonitor":  # not Kubernetes's own; test_pod.py looks at it
                found[json.dumps(one, sort_keys=True)] = one
    assert len(found) > len(VARIATIONS)
    assert validate(validator, [(version, one) for version in KUBERNETES for one in found.values()]) == []


def test_a_wrong_object_is_noticed(helm: Path, validator: Path) -> None:
    """The schemas refuse a misspelt field and a wrong type, so that the test above means something."""
    job = json.loads(json.dumps(render(helm, {}).job))
    collector = job["spec"]["template"]["spec"]["initContainers"][0]
    collector["startupProbes"] = collector.pop("startupProbe")
    wrong_type = json.loads(json.dumps(render(helm, {}).job))
    wrong_type["spec"]["parallelism"] = "1"
    problems = validate(validator, [("1.33", job), ("1.33", wrong_type)])
    assert len(problems) == 2
    assert "startupProbes" in problems[0]
    assert "'1' is not of type" in problems[1]


def test_lint(helm: Path) -> None:
    """`helm lint --strict` has nothing to say against any variation but the missing icon."""
    for values in VARIATIONS.values():
        done = run_helm(helm, "lint", values, "--strict")
        assert done.returncode == 0, done.stdout + done.stderr
        assert [line for line in done.stdout.splitlines() if line.startswith("[")] == [
            "[INFO] Chart.yaml: icon is recommended"
        ]


def test_names_are_unique_and_labels_standard(rendered: Rendered) -> None:
    """Each object has a name of its own within its kind, the release's namespace, and the standard labels."""
    names = Counter((found["kind"], found["metadata"]["name"]) for found in rendered.objects)
    assert set(names.values()) == {1}
    for found in rendered.objects:
        metadata = found["metadata"]
        assert metadata["namespace"] == NAMESPACE
        assert set(metadata["labels"]) >= STANDARD, found["kind"]
        assert len(metadata["name"]) <= 63
        assert all(len(value) <= 63 for value in metadata["labels"].values())
    containers = [c["name"] for c in [*rendered.pod.get("initContainers", ()), *rendered.pod["containers"]]]
    assert len(set(containers)) == len(containers)


def test_too_old_kubernetes_is_told(helm: Path) -> None:
    """Where native sidecars do not exist, Helm refuses with the version that is needed."""
    done = run_helm(helm, "template", {}, "--kube-version", "1.28")
    assert done.returncode != 0
    assert "chart requires kubeVersion: >=1.29.0-0" in done.stderr


def test_versions_agree() -> None:
    """The chart installs the collector of this tree, and client and collector are released together."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__ == wayside.__version__


def test_a_name_changes_with_the_pods_and_only_with_them(helm: Path) -> None:
    """What changes a pod changes the Job's name, since a Job's pods cannot be changed; what does not, leaves it."""
    usual = render(helm, {}).job["metadata"]["name"]
    changed = [
        {"collector": {"config": {"grace": 20}}},
        {"job": {"args": ["--lr", "1"]}},
        {"job": {"parallelism": 2}},
        {"image": {"tag": "other"}},
    ]
    names = {render(helm, values).job["metadata"]["name"] for values in changed}
    assert len(names | {usual}) == len(changed) + 1
    assert render(helm, {"serviceAccount": {"annotations": {"a": "b"}}}).job["metadata"]["name"] == usual
    assert render(helm, {}, kubernetes="1.37").job["metadata"]["name"] == usual
