"""Pods of a dozen real shapes, and what the webhook's patch makes of them."""

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from deploy.injecting import LEFT, SERVED, SHAPES, Pod, patched, rendered_plan, variables
from deploy.test_rendering import validate
from wayside_collector.injection.plan import Plan, PlanError, read_plan
from wayside_collector.injection.pod import inject

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

SITE = "/opt/wayside/inject/wayside/hook/site"
MOUNTS = {"wayside-socket", "wayside-data", "wayside-client"}


@pytest.fixture(scope="module")
def plan(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return rendered_plan(helm, tmp_path_factory.mktemp("plan"))[1]


def injected(name: str, plan: Plan) -> Pod:
    return patched(SHAPES[name], inject(SHAPES[name], plan).patch)


def container(pod: Pod, name: str) -> dict[str, Any]:
    spec = pod["spec"]
    (found,) = [one for one in [*spec["containers"], *spec.get("initContainers", ())] if one["name"] == name]
    return found


def has_client(found: dict[str, Any]) -> bool:
    return {mount["name"] for mount in found.get("volumeMounts", ())} >= MOUNTS


@pytest.mark.parametrize("name", SERVED)
def test_a_pod_is_served(plan: Plan, name: str) -> None:
    """Collector and client come first among the init containers, each container that logs meets the collector, finds
    the hook first and the package last, and there is a volume for every mount.
    """
    pod = injected(name, plan)
    spec = pod["spec"]
    assert [one["name"] for one in spec["initContainers"]][:2] == ["wayside", "wayside-client"]
    assert spec["initContainers"][0]["restartPolicy"] == "Always"
    logging = [one for one in [*spec["initContainers"][2:], *spec["containers"]] if has_client(one)]
    assert logging
    for one in logging:
        assert variables(one)["WAYSIDE_SOCKET"] == "/run/wayside/wayside.sock"
        path = variables(one)["PYTHONPATH"]
        assert isinstance(path, dict) or (path.startswith(SITE) and path.endswith(":/opt/wayside/inject"))
    volumes = [volume["name"] for volume in spec["volumes"]]
    assert len(set(volumes)) == len(volumes)
    for one in [*spec["initContainers"], *spec["containers"]]:
        assert {mount["name"] for mount in one.get("volumeMounts", ())} <= set(volumes)
        names = [entry["name"] for entry in one.get("env", ())]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", SERVED)
def test_the_patch_is_minimal(plan: Plan, name: str) -> None:
    """It only adds, but for the value of a PYTHONPATH: without what it added, the pod is what it was."""
    found = inject(SHAPES[name], plan).patch
    assert all(one["op"] == "add" or one["path"].rpartition("/")[2] == "value" for one in found)
    before = SHAPES[name]["spec"]
    after = injected(name, plan)["spec"]
    assert {key: value for key, value in after.items() if key not in ("containers", "initContainers", "volumes")} == {
        key: value for key, value in before.items() if key not in ("containers", "initContainers", "volumes")
    }
    assert after["volumes"][: len(before.get("volumes", ()))] == before.get("volumes", [])
    for kind, skipped in (("containers", 0), ("initContainers", 2)):
        for was, now in zip(before.get(kind, ()), after[kind][skipped:], strict=True):
            for key in ("env", "volumeMounts"):
                kept = [
                    {**entry, "value": None} if entry["name"] == "PYTHONPATH" and "value" in entry else entry
                    for entry in now.get(key, ())[: len(was.get(key, ()))]
                ]
                assert kept == [
                    {**entry, "value": None} if entry["name"] == "PYTHONPATH" and "value" in entry else entry
                    for entry in was.get(key, ())
                ]
            rest = {"env", "volumeMounts"}
            assert {k: v for k, v in now.items() if k not in rest} == {k: v for k, v in was.items() if k not in rest}


@pytest.mark.parametrize("name", SERVED)
def test_an_injected_pod_is_left_alone(plan: Plan, name: str) -> None:
    """Once is enough: what was injected gets nothing more, and no word, when it is asked about again."""
    assert inject(injected(name, plan), plan) == ([], [])


def test_kubernetes_takes_every_injected_pod(plan: Plan, validator: Path) -> None:
    """Each is valid by the strict schemas of the oldest Kubernetes with native sidecars, and of the newest."""
    pods = [json.loads(json.dumps(injected(name, plan))) for name in SERVED]
    assert validate(validator, [(version, pod) for version in ("1.29", "1.37") for pod in pods]) == []


@pytest.mark.parametrize(
    ("name", "why"),
    list(zip(LEFT, ("Windows", "its node's network", "a volume wayside-data of its own"), strict=True)),
)
def test_some_pods_are_left_as_they_are(plan: Plan, name: str, why: str) -> None:
    """What cannot be served is not touched, and its owner is told why."""
    patch, (warning,) = inject(SHAPES[name], plan)
    assert patch == []
    assert why in warning


def test_a_pod_may_stay_out(plan: Plan) -> None:
    """The label "false" on a pod goes over its namespace's."""
    pod = copy.deepcopy(SHAPES["job"])
    pod["metadata"]["labels"]["wayside.dev/inject"] = "false"
    assert inject(pod, plan) == ([], [])


UIDS = {
    "job": {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/controller-uid']"}},
    "jobset": {"fieldRef": {"fieldPath": "metadata.labels['jobset.sigs.k8s.io/jobset-uid']"}},
    "trainjob": {"fieldRef": {"fieldPath": "metadata.labels['jobset.sigs.k8s.io/jobset-uid']"}},
    "pytorchjob-worker": "u-pytorch",
    "volcano": "u-volcano",
    "raycluster-worker": None,
    "argo-step": None,
    "guaranteed": None,
}


@pytest.mark.parametrize("name", UIDS)
def test_the_workload(plan: Plan, name: str) -> None:
    """All pods of one training have its uid, from the label of a JobSet or Job, or from who owns the pod; pods that
    several trainings use have none.
    """
    logging = [one for one in injected(name, plan)["spec"]["containers"] if has_client(one)]
    assert [variables(one).get("WORKLOAD_UID") for one in logging] == [UIDS[name]] * len(logging)


def test_what_a_container_says_itself_wins(plan: Plan) -> None:
    """A PYTHONPATH is kept within ours, any other variable as it is; annotations give the run's project and hook, and
    a pod that names an exporter of its own to Prometheus keeps that.
    """
    pod = injected("python-path", plan)
    found = variables(container(pod, "train"))
    assert found["PYTHONPATH"] == f"{SITE}:/app:/app/lib:/opt/wayside/inject"
    assert found["POD_NAME"] == "mine"
    assert (found["WAYSIDE_PROJECT"], found["WAYSIDE_WANDB_HOOK"]) == ("vision", "divert")
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == "8000"
    assert injected("job", plan)["metadata"]["annotations"]["prometheus.io/port"] == "9750"


def test_a_python_path_from_elsewhere_is_kept(plan: Plan) -> None:
    """One by valueFrom cannot be added to: it stays, and its owner is told what is missing."""
    patch, (warning,) = inject(SHAPES["python-path-by-value-from"], plan)
    found = variables(container(patched(SHAPES["python-path-by-value-from"], patch), "train"))
    assert found["PYTHONPATH"] == {"configMapKeyRef": {"name": "paths", "key": "python"}}
    assert "train has its PYTHONPATH by valueFrom" in warning
    assert SITE in warning


def test_an_image_s_own_python_path_can_be_named(plan: Plan) -> None:
    """No manifest shows what an image sets, so the annotation says it."""
    pod = copy.deepcopy(SHAPES["job"])
    pod["metadata"]["annotations"]["wayside.dev/python-path"] = "/workspace"
    found = container(patched(pod, inject(pod, plan).patch), "train")
    assert variables(found)["PYTHONPATH"] == f"{SITE}:/workspace:/opt/wayside/inject"


def test_containers_by_name(plan: Plan) -> None:
    """With the annotation those containers log that it names, init containers among them, and no others."""
    pod = injected("init-containers", plan)
    assert has_client(container(pod, "train"))
    assert has_client(container(pod, "tokenise"))
    assert not has_client(container(pod, "tensorboard"))
    assert not has_client(container(pod, "proxy"))
    assert not has_client(container(injected("argo-step", plan), "wait"))


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"wayside.dev/containers": "trian"}, "there is no container 'trian'; there are train"),
        ({"wayside.dev/hook": "both"}, "'both' is none of mirror, divert, off"),
    ],
)
def test_a_slip_in_an_annotation_is_told(plan: Plan, annotations: dict[str, str], said: str) -> None:
    """A warning says what is wrong and what there is."""
    pod = copy.deepcopy(SHAPES["job"])
    pod["metadata"]["annotations"] = annotations
    assert any(said in warning for warning in inject(pod, plan).warnings)


def test_a_path_that_is_taken(plan: Plan) -> None:
    """A container that mounts something of its own in our place is left as it is, and is told of."""
    pod = copy.deepcopy(SHAPES["job"])
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "x", "mountPath": "/var/lib/wayside/"}]
    patch, (warning,) = inject(pod, plan)
    assert patch == []
    assert "container train mounts /var/lib/wayside itself" in warning


def test_guaranteed_stays_guaranteed(plan: Plan) -> None:
    """In a pod of that class all our containers have limits equal to requests, and its users and group stay."""
    pod = injected("guaranteed", plan)
    for one in pod["spec"]["initContainers"]:
        assert one["resources"]["limits"] == one["resources"]["requests"]
        assert set(one["resources"]["limits"]) == {"cpu", "memory"}
    assert pod["spec"]["securityContext"] == SHAPES["guaranteed"]["spec"]["securityContext"]
    other = injected("job", plan)["spec"]["initContainers"][0]["resources"]
    assert other["limits"] != other["requests"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("[", "what the chart writes"), ("{}", "missing required field"), ("sidecar: 1", "sidecar")],
)
def test_a_plan_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    """The error names the file and what is wrong in it."""
    path = tmp_path / "injection.yaml"
    path.write_text(text)
    with pytest.raises(PlanError, match=said):
        read_plan(path)


def test_a_plan_must_name_the_sidecar(plan: Plan, tmp_path: Path) -> None:
    """By another name an injected pod would not be known, and be injected twice."""
    path = tmp_path / "injection.yaml"
    tree = msgspec.to_builtins(plan)
    path.write_text(json.dumps({**tree, "sidecar": {**plan.sidecar, "name": "other"}}))
    with pytest.raises(PlanError, match=r"sidecar\.name: must be 'wayside'"):
        read_plan(path)
