"""Helm renders the chart, whatever is set, into objects that Kubernetes takes."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import wayside
import yaml
from deploy.charts import CHART, JOB, NAMESPACE, PLATFORM, VARIATIONS, Rendered, Values, over, render, run_helm
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
#: One without native sidecars, the oldest with them, the first where they are stable, and the newest.
KUBERNETES = ("1.28", "1.29", "1.33", "1.37")
#: Not Kubernetes's own; test_monitoring.py and test_pod.py look at them.
MONITORS = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
#: Every variation of values, with what lies beneath it.
ALL: dict[str, Values] = {
    **{f"job: {name}": over(JOB, values) for name, values in VARIATIONS.items()},
    **{f"platform: {name}": values for name, values in PLATFORM.items()},
}
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


@pytest.fixture(params=ALL, ids=lambda name: name.replace(": ", "-").replace(" ", "-"))
def rendered(request: pytest.FixtureRequest, helm: Path) -> Rendered:
    return render(helm, ALL[request.param], base={})


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_takes_every_object(helm: Path, validator: Path, version: str) -> None:
    """Everything rendered for a version of Kubernetes, in every variation, is valid by its strict schemas."""
    found: dict[str, dict[str, Any]] = {}
    for values in ALL.values():
        for one in render(helm, values, kubernetes=version, base={}).objects:
            if one["kind"] not in MONITORS:
                found[json.dumps(one, sort_keys=True)] = one
    assert len(found) > len(ALL)
    assert validate(validator, [(version, one) for one in found.values()]) == []


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
    for values in ALL.values():
        done = run_helm(helm, "lint", values, "--strict")
        assert done.returncode == 0, done.stdout + done.stderr
        assert [line for line in done.stdout.splitlines() if line.startswith("[")] == [
            "[INFO] Chart.yaml: icon is recommended"
        ]


def test_names_are_unique_and_labels_standard(rendered: Rendered) -> None:
    """Each object has a name of its own within its kind, the release's namespace, and the standard labels."""
    names = Counter((found["kind"], found["metadata"]["name"]) for found in rendered.objects)
    assert set(names.values()) <= {1}
    for found in rendered.objects:
        metadata = found["metadata"]
        assert metadata["namespace"] == NAMESPACE
        if not metadata["name"].endswith(("-mine", "as-text")):  # of extraObjects: the user's own
            assert set(metadata["labels"]) >= STANDARD, found["kind"]
        assert len(metadata["name"]) <= 63
        assert all(len(value) <= 63 for value in metadata.get("labels", {}).values())
    for pod in rendered.pods:
        containers = [c["name"] for c in [*pod.get("initContainers", ()), *pod["containers"]]]
        assert len(set(containers)) == len(containers)


def test_a_set_s_name_leaves_room_for_a_hash(rendered: Rendered) -> None:
    """A StatefulSet's name stands in a label of its pods, with a hash of ten characters after it."""
    for found in rendered.of("StatefulSet"):
        assert len(found["metadata"]["name"]) <= 52


def test_selectors_find_their_pods_and_no_others(rendered: Rendered) -> None:
    """Each part's selector matches its own pods' labels, and no other part's."""
    parts = [*rendered.of("StatefulSet"), *rendered.of("DaemonSet"), *rendered.of("Job")]
    labels = {part["kind"]: part["spec"]["template"]["metadata"]["labels"] for part in parts}
    wanted = {
        **{part["kind"]: part["spec"]["selector"]["matchLabels"] for part in parts if "selector" in part["spec"]},
        **{f"Service {one['metadata']['name']}": one["spec"]["selector"] for one in rendered.of("Service")},
        **{one["kind"]: one["spec"]["selector"]["matchLabels"] for one in rendered.of("PodDisruptionBudget")},
        **{one["kind"]: one["spec"]["podSelector"]["matchLabels"] for one in rendered.of("NetworkPolicy")},
    }
    for who, selector in wanted.items():
        matched = [kind for kind, found in labels.items() if selector.items() <= found.items()]
        assert matched == [who if who in labels else "StatefulSet"], who


def test_too_old_kubernetes_is_told(helm: Path) -> None:
    """Helm refuses versions that nothing was checked with, and names the one that is needed."""
    done = run_helm(helm, "template", {}, "--kube-version", "1.26")
    assert done.returncode != 0
    assert "chart requires kubeVersion: >=1.27.0-0" in done.stderr


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
