"""The training's pod: a native sidecar with its probes, shared folders, restricted rights, no secret in plain text."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from deploy.charts import VARIATIONS, Rendered, environment, mounts, render
from deploy.dockerfile import final_stage
from wayside.settings import MAX_SOCKET_PATH, SYSTEM_SOCKET

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

WITH_COLLECTOR = [name for name in VARIATIONS if name != "without a collector"]
IDENTITY = {
    "POD_NAME": "metadata.name",
    "POD_UID": "metadata.uid",
    "POD_NAMESPACE": "metadata.namespace",
    "NODE_NAME": "spec.nodeName",
    "WORKLOAD_UID": "metadata.labels['batch.kubernetes.io/controller-uid']",
}


@pytest.fixture(params=WITH_COLLECTOR, ids=lambda name: name.replace(" ", "-"))
def rendered(request: pytest.FixtureRequest, helm: Path) -> Rendered:
    return render(helm, VARIATIONS[request.param])


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def size(quantity: str) -> int:
    """Bytes of a Kubernetes quantity as the chart writes them."""
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi|Ti)", quantity).groups()  # type: ignore[union-attr]
    return int(number) << {"Mi": 20, "Gi": 30, "Ti": 40}[unit]


def test_native_sidecar(rendered: Rendered) -> None:
    """The collector is an init container that stays: it is there before the training, and keeps no Job from ending."""
    assert rendered.collector["restartPolicy"] == "Always"
    assert rendered.collector["name"] == "wayside"
    assert [container["name"] for container in rendered.pod["containers"]] == ["trainer"]
    assert rendered.pod["restartPolicy"] == "Never"


def test_probes(rendered: Rendered) -> None:
    """Ready by /readyz, alive by /livez, both on the port the collector listens on; it has minutes to start."""
    collector = rendered.collector
    port = {port["name"]: port["containerPort"] for port in collector["ports"]}["wayside"]
    assert environment(collector)["WAYSIDE_LISTEN_PUBLIC"].rpartition(":")[2] == str(port)
    assert collector["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "wayside"}
    assert collector["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "wayside"}
    startup = collector.get("startupProbe")
    if startup is not None:
        assert startup["httpGet"] == {"path": "/readyz", "port": "wayside"}
        assert startup["failureThreshold"] * startup["periodSeconds"] >= 60


def test_training_waits_unless_told_otherwise(helm: Path) -> None:
    """A startup probe holds the training back until rows can be taken; without one it begins at once."""
    assert "startupProbe" in render(helm, {}).collector
    assert "startupProbe" not in render(helm, VARIATIONS["training at once"]).collector


def test_listens_where_probes_come_from(helm: Path) -> None:
    """Kubelet and Prometheus come from outside of the pod: for them the collector listens on every address, and for
    what needs no token on the pod's own.
    """
    found = environment(render(helm, {}).collector)
    assert found["WAYSIDE_LISTEN_PUBLIC"] == "0.0.0.0:9750"
    assert found["WAYSIDE_LISTEN"] == "127.0.0.1:9751"
    found = render(helm, VARIATIONS["several pods on the hosts network"])
    assert environment(found.collector)["WAYSIDE_LISTEN_PUBLIC"] == "[::]:19750"
    assert found.pod["dnsPolicy"] == "ClusterFirstWithHostNet"


def test_both_meet_in_the_same_folders(rendered: Rendered) -> None:
    """Training and collector mount the folders of socket and data at the same paths, and never the socket itself."""
    both = [rendered.trainer, rendered.collector]
    for container in both:
        assert environment(container)["WAYSIDE_SOCKET"] == SYSTEM_SOCKET
        assert environment(container)["WAYSIDE_DIR"] == "/var/lib/wayside"
        assert mounts(container)["/run/wayside"] == "wayside-socket"
        assert mounts(container)["/var/lib/wayside"] == "wayside-data"
        for mount in container["volumeMounts"]:
            assert "subPath" not in mount
            assert not mount["mountPath"].endswith(".sock")
    assert len(SYSTEM_SOCKET) <= MAX_SOCKET_PATH


def test_every_mount_has_its_volume(rendered: Rendered) -> None:
    """No container mounts a volume the pod does not have, and the pod has none that nobody mounts."""
    for pod in rendered.pods:
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounted = {name for container in containers(pod) for name in mounts(container).values()}
        assert mounted <= volumes
        assert {name for name in volumes if name.startswith("wayside-")} <= mounted


def test_the_socket_s_folder_is_bounded_memory(rendered: Rendered) -> None:
    """Rows are written to memory first, and to no more of it than is said."""
    for pod in rendered.pods:
        volume = next(volume for volume in pod["volumes"] if volume["name"] == "wayside-socket")
        assert volume["emptyDir"]["medium"] == "Memory"
        assert 64 << 20 <= size(volume["emptyDir"]["sizeLimit"]) <= 1 << 30


def test_restricted(rendered: Rendered) -> None:
    """Every container of every pod satisfies the pod security standard "restricted", and writes no root."""
    for pod in rendered.pods:
        assert pod["automountServiceAccountToken"] is False
        assert not pod.get("shareProcessNamespace")
        assert not pod.get("hostPID")
        for container in containers(pod):
            context = container["securityContext"]
            assert context["runAsNonRoot"] is True
            assert context.get("runAsUser", 65532) != 0
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            assert not context.get("privileged")
        for volume in pod["volumes"]:
            assert set(volume) - {"name"} <= {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
    assert rendered.collector["securityContext"]["readOnlyRootFilesystem"] is True


def test_two_users_share_the_folders(helm: Path) -> None:
    """The pod's group owns the folders, so that a training of another user can use them; the ids are the image's."""
    pod = render(helm, VARIATIONS["an image of ones own"]).pod
    uid, _, gid = final_stage().user.partition(":")
    assert str(pod["securityContext"]["fsGroup"]) == gid
    assert str(pod["initContainers"][0]["securityContext"]["runAsUser"]) == uid
    assert pod["containers"][0]["securityContext"]["runAsUser"] == 1000
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is False


def test_the_account_has_no_token(helm: Path) -> None:
    """Nothing talks to the Kubernetes API, so no token is mounted, by account and by pod."""
    (account,) = render(helm, {}).of("ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    found = render(helm, VARIATIONS["another service account"])
    assert found.of("ServiceAccount") == []
    assert found.pod["serviceAccountName"] == "builder"


def test_identity(rendered: Rendered) -> None:
    """Both containers are told pod, node and workload by the downward API."""
    for container in (rendered.trainer, rendered.collector):
        told = {
            entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"]
            for entry in container["env"]
            if "fieldRef" in entry.get("valueFrom", {})
        }
        assert told == IDENTITY


def test_no_variable_twice(rendered: Rendered) -> None:
    """No container has two values for one variable."""
    for pod in rendered.pods:
        for container in containers(pod):
            names = [entry["name"] for entry in container.get("env", ())]
            assert len(set(names)) == len(names)


def test_the_key_goes_to_the_collector_only(helm: Path) -> None:
    """The W&B key comes from the Secret, and the training does not see it."""
    found = render(helm, VARIATIONS["wandb"])
    keys = [entry for entry in found.collector["env"] if entry["name"] == "WANDB_API_KEY"]
    assert keys == [{"name": "WANDB_API_KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "wandb"}}}]
    assert "WANDB_API_KEY" not in json.dumps(found.trainer)
    assert "WANDB_API_KEY" not in json.dumps(render(helm, {}).objects)


def test_a_changed_configuration_changes_the_pod(helm: Path) -> None:
    """The annotation with the configuration's checksum follows the configuration."""

    def checksum(values: dict[str, Any]) -> str:
        found: str = render(helm, values).job["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        return found

    assert checksum({}) == checksum({"job": {"backoffLimit": 1}})
    assert checksum({}) != checksum({"collector": {"config": {"grace": 20}}})


def test_scraped_one_way(helm: Path) -> None:
    """Prometheus finds a pod by its annotations or by a PodMonitor, never by both; one's own annotations win."""

    def annotations(found: Rendered) -> dict[str, str]:
        told = found.job["spec"]["template"]["metadata"]["annotations"]
        return {name: value for name, value in told.items() if name.startswith("prometheus.io/")}

    usual = render(helm, {})
    assert annotations(usual) == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9750",
        "prometheus.io/path": "/metrics",
    }
    assert usual.of("PodMonitor") == []
    found = render(helm, VARIATIONS["prometheus operator"])
    assert annotations(found) == {}
    (monitor,) = found.of("PodMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "wayside", "path": "/metrics", "interval": "30s"}]
    labels = found.job["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert annotations(render(helm, VARIATIONS["not scraped"])) == {}
    own = render(helm, VARIATIONS["an image of ones own"])
    assert annotations(own)["prometheus.io/path"] == "/mine"


def test_turned_off(helm: Path) -> None:
    """Without a collector the Job has no trace of it, and the client in the training keeps nothing."""
    found = render(helm, VARIATIONS["without a collector"])
    assert {kind["kind"] for kind in found.objects} == {"Job", "ServiceAccount"}
    assert "initContainers" not in found.pod
    assert "volumes" not in found.pod
    assert "volumeMounts" not in found.trainer
    assert environment(found.trainer) == {"WAYSIDE_MODE": "disabled"}
    assert "annotations" not in found.job["spec"]["template"]["metadata"]


def test_a_training_of_one_s_own(helm: Path) -> None:
    """Image, command, environment, resources and volumes of the training are the user's; the example is gone."""
    found = render(helm, VARIATIONS["an image of ones own"])
    trainer = found.trainer
    assert trainer["image"] == "registry.example/train:v1"
    assert trainer["command"] == ["torchrun", "--nproc-per-node=8", "train.py"]
    assert trainer["args"] == ["--epochs", "3"]
    assert trainer["imagePullPolicy"] == "Always"
    assert environment(trainer)["OMP_NUM_THREADS"] == "8"
    assert trainer["resources"]["limits"]["nvidia.com/gpu"] == 8
    assert mounts(trainer)["/data"] == "data"
    assert found.pod["runtimeClassName"] == "nvidia"
    assert found.job["spec"]["ttlSecondsAfterFinished"] == 0
    entrypoint = render(helm, {"job": {"image": {"repository": "registry.example/train"}}}).trainer
    assert "command" not in entrypoint


def test_every_image_can_be_pinned(helm: Path) -> None:
    """A digest goes before any tag; without both the collector's image is the chart's own version."""
    found = render(helm, VARIATIONS["images by digest"])
    assert found.collector["image"] == f"registry.example/wayside@sha256:{'0' * 64}"
    assert found.collector["imagePullPolicy"] == "Always"
    assert render(helm, {}).collector["image"].endswith(":0.1.0")


def test_several_pods_know_which_they_are(helm: Path) -> None:
    """With parallelism each pod has an index and all of them must end."""
    spec = render(helm, VARIATIONS["several pods on the hosts network"]).job["spec"]
    assert (spec["completionMode"], spec["parallelism"], spec["completions"]) == ("Indexed", 4, 4)


def test_the_end_leaves_time_to_deliver(rendered: Rendered) -> None:
    """The collector's grace ends before Kubernetes's."""
    grace = {20: 20, "50s": 50, "5m": 300}[rendered.config["grace"]]
    assert grace + 10 <= rendered.pod["terminationGracePeriodSeconds"]
