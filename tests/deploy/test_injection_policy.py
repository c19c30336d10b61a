"""The admission policy, evaluated by a CEL library over the same pods as the webhook: no API server has run it."""

import copy
from pathlib import Path
from typing import Any

import pytest
from deploy.cel import Policy
from deploy.charts import refusal, render
from deploy.injecting import INJECTING, LEFT, SERVED, SHAPES, Pod, injecting, patched, rendered_plan, variables
from deploy.test_rendering import validate
from wayside_collector.injection.plan import Plan
from wayside_collector.injection.pod import inject

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

SITE = "/opt/wayside/inject/wayside/hook/site"
#: Annotations, and owners other than by label, are the webhook's alone.
BY_ANNOTATION = {"init-containers", "argo-step"}
BY_OWNER = {"pytorchjob-worker", "volcano"}


@pytest.fixture(scope="module")
def policy(helm: Path) -> Policy:
    return Policy(injecting(helm, "1.37").one("MutatingAdmissionPolicy"))


@pytest.fixture(scope="module")
def plan(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return rendered_plan(helm, tmp_path_factory.mktemp("plan"))[1]


def content(pod: Pod) -> dict[str, Any]:
    """What counts of a pod: its parts by name, since the API server adds at the end, and the webhook does not."""
    spec = copy.deepcopy(pod["spec"])
    for kind in ("containers", "initContainers"):
        for one in spec[kind]:
            one["env"] = variables(one)
            one["volumeMounts"] = {mount["mountPath"]: mount for mount in one.get("volumeMounts", ())}
    return {
        **spec,
        **{kind: {one["name"]: one for one in spec[kind]} for kind in ("containers", "initContainers", "volumes")},
    }


@pytest.mark.parametrize("name", sorted({*SERVED} - BY_ANNOTATION - {"guaranteed"}))
def test_policy_and_webhook_agree(policy: Policy, plan: Plan, name: str) -> None:
    """Both make the same pod of every shape, but for what only the webhook can see: annotations, and owners."""
    expected = content(patched(SHAPES[name], inject(SHAPES[name], plan).patch))
    found = content(policy.applied(SHAPES[name]))
    for container in expected["containers"].values():
        for variable in ("WAYSIDE_PROJECT", "WAYSIDE_WANDB_HOOK", *(["WORKLOAD_UID"] if name in BY_OWNER else [])):
            container["env"].pop(variable, None)
    assert found == expected


@pytest.mark.parametrize("name", [*SERVED])
def test_once_is_enough(policy: Policy, plan: Plan, name: str) -> None:
    """A pod that the policy or the webhook has served is left alone by the policy."""
    assert policy.refusals(policy.applied(SHAPES[name])) == [
        "not-injected",
        "our-volumes-are-free",
        "our-paths-are-free",
    ]
    by_webhook = patched(SHAPES[name], inject(SHAPES[name], plan).patch)
    assert policy.applied(by_webhook) is by_webhook


@pytest.mark.parametrize(
    ("name", "condition"),
    list(zip(LEFT, ("not-windows", "not-on-the-nodes-network", "our-volumes-are-free"), strict=True)),
)
def test_some_pods_are_left_as_they_are(policy: Policy, name: str, condition: str) -> None:
    """The condition that is meant for a pod, and no other, keeps the policy from it."""
    assert policy.refusals(SHAPES[name]) == [condition]
    assert policy.applied(SHAPES[name]) is SHAPES[name]


def test_names_and_paths_that_are_taken(policy: Policy) -> None:
    """A container that is called like ours, or mounts something in our place, keeps the policy from its pod."""
    pod = copy.deepcopy(SHAPES["job"])
    pod["spec"]["containers"][0]["name"] = "wayside"
    assert policy.refusals(pod) == ["no-container-of-our-names"]
    pod = copy.deepcopy(SHAPES["job"])
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "x", "mountPath": "/run/wayside"}]
    assert policy.refusals(pod) == ["our-paths-are-free"]
    pod = copy.deepcopy(SHAPES["job"])
    pod["spec"]["nodeSelector"] = {"kubernetes.io/os": "windows"}
    assert policy.refusals(pod) == ["not-windows"]


def test_a_python_path_is_kept(policy: Policy) -> None:
    """One that is there stays within ours, an empty one leaves no empty entry, one from elsewhere is not touched."""
    (container,) = policy.applied(SHAPES["python-path"])["spec"]["containers"]
    assert variables(container)["PYTHONPATH"] == f"{SITE}:/app:/app/lib:/opt/wayside/inject"
    pod = copy.deepcopy(SHAPES["python-path"])
    pod["spec"]["containers"][0]["env"][0] = {"name": "PYTHONPATH"}
    (container,) = policy.applied(pod)["spec"]["containers"]
    assert variables(container)["PYTHONPATH"] == f"{SITE}:/opt/wayside/inject"
    (container,) = policy.applied(SHAPES["python-path-by-value-from"])["spec"]["containers"]
    assert variables(container)["PYTHONPATH"] == {"configMapKeyRef": {"name": "paths", "key": "python"}}


def test_kubernetes_takes_what_the_policy_makes(policy: Policy, validator: Path) -> None:
    """Every shape is valid by the strict schemas of the versions that have such policies."""
    pods = [policy.applied(SHAPES[name]) for name in SERVED]
    assert validate(validator, [(version, pod) for version in ("1.36", "1.37") for pod in pods]) == []


VARIATIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "by cert-manager": {"injection": {"webhook": {"certificate": {"by": "certManager"}}}},
    "a certificate of one's own": {
        "injection": {"webhook": {"certificate": {"by": "secret", "existingSecret": "mine", "caBundle": "TWluZQ=="}}}
    },
    "placed": {"injection": {"webhook": {"replicas": 1, "nodeSelector": {"pool": "system"}}, "waitUntilReady": True}},
    "on nodes' disks": {"data": {"place": "node"}, "node": {"enabled": True}},
    "fed elsewhere by TLS": {"feed": {"endpoint": "https://gateway:9750", "existingSecret": "w", "caSecret": "ca"}},
    "a spare namespace": {"injection": {"excludedNamespaces": ["monitoring"]}},
}


@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_kubernetes_takes_what_the_chart_makes(helm: Path, validator: Path, version: str) -> None:
    """In every variation the injection's objects are valid, fail open, leave out Kubernetes's namespaces and the
    chart's own, and no pod is in both of their selectors.
    """
    objects = []
    for values in VARIATIONS.values():
        found = render(helm, over_injecting(values), kubernetes=version, base={})
        new = version >= "1.36"
        assert bool(found.of("MutatingAdmissionPolicy")) == new
        assert bool(found.of("MutatingWebhookConfiguration")) == (not new)
        selected = (
            [one["spec"]["matchResources"] for one in found.of("MutatingAdmissionPolicyBinding")]
            if new
            else found.one("MutatingWebhookConfiguration")["webhooks"]
        )
        for one in [*found.of("MutatingAdmissionPolicy"), *([] if new else selected)]:
            assert one.get("spec", one)["failurePolicy"] == "Ignore"
        namespaces = [one["namespaceSelector"]["matchExpressions"] for one in selected]
        for spared, _ in namespaces:
            assert spared["operator"] == "NotIn"
            assert {"kube-system", "training"} <= {*spared["values"]}
        assert [(own["operator"], own["values"]) for _, own in namespaces] == [("In", ["true"]), ("NotIn", ["true"])]
        objects += [one for one in found.objects if not one["apiVersion"].startswith(("cert-manager", "monitoring"))]
    assert validate(validator, [(version, one) for one in objects]) == []


def over_injecting(values: dict[str, Any]) -> dict[str, Any]:
    return {**INJECTING, **values, "injection": {**INJECTING["injection"], **values.get("injection", {})}}


def test_the_chart_s_certificate_is_for_its_service(helm: Path) -> None:
    """The webhook's authority, certificate and Service belong together."""
    found = injecting(helm, "1.33")
    (secret,) = [one for one in found.of("Secret") if one["type"] == "kubernetes.io/tls"]
    service = found.one("Service", "demo-wayside-injection")
    assert set(secret["data"]) == {"ca.crt", "tls.crt", "tls.key"}
    for webhook in found.one("MutatingWebhookConfiguration")["webhooks"]:
        assert webhook["clientConfig"]["caBundle"] == secret["data"]["ca.crt"]
        assert webhook["clientConfig"]["service"]["name"] == service["metadata"]["name"]
    (volume,) = [one for one in found.one("Deployment")["spec"]["template"]["spec"]["volumes"] if one["name"] == "tls"]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]


def test_what_cannot_be_is_refused(helm: Path) -> None:
    """Helm says what is missing for injection."""
    assert "needs Kubernetes 1.29" in refusal(helm, INJECTING, kubernetes="1.28", base={})
    policy = {"injection": {"enabled": True, "by": "policy"}}
    assert "needs Kubernetes 1.36, and this is v1.35.0" in refusal(helm, policy, kubernetes="1.35", base={})
