"""The chart as its tests see it: the variations of its values, rendering them, and the objects that come out."""

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "wayside"
RELEASE = "demo"
NAMESPACE = "training"

Values = dict[str, Any]

_NO_USER = {"runAsUser": None, "runAsGroup": None}

#: What people set, one thing or several at a time.
VARIATIONS: dict[str, Values] = {
    "as it is": {},
    "without a collector": {"collector": {"enabled": False}},
    "training at once": {"collector": {"waitUntilReady": False}},
    "W&B": {
        "collector": {"config": {"sinks": {"wandb": {"project": "p", "max_dir_size": "1GiB"}, "prometheus": None}}},
        "wandb": {"existingSecret": "keys", "key": "wandb"},
    },
    "every sink": {
        "collector": {
            "config": {
                "spool": {"max_size": 536870912},
                "sinks": {
                    "jsonl": {"max_size": "1MiB", "max_files": 2},
                    "lens": {"endpoint": "http://lens:8989/v1", "header_env": {"Authorization": "LENS_AUTHORIZATION"}},
                    "archive": {"kind": "jsonl", "layout": "primus"},
                },
                "sources": {"host": {"interval": 10}},
                "grace": 20,
            },
            "extraEnv": [
                {
                    "name": "LENS_AUTHORIZATION",
                    "valueFrom": {"secretKeyRef": {"name": "lens", "key": "authorization"}},
                }
            ],
        },
    },
    "the collector's own choice of sinks": {"collector": {"config": {"sinks": None, "spool": None}}},
    "Prometheus operator": {"scrape": {"by": "podMonitor", "interval": "30s", "labels": {"release": "prometheus"}}},
    "not scraped": {"scrape": {"by": "none"}},
    "an image of one's own": {
        "job": {
            "image": {"repository": "registry.example/train", "tag": "v1", "pullPolicy": "Always"},
            "command": ["torchrun", "--nproc-per-node=8", "train.py"],
            "args": ["--epochs", "3"],
            "env": [{"name": "OMP_NUM_THREADS", "value": "8"}],
            "envFrom": [{"secretRef": {"name": "hub"}}],
            "resources": {"limits": {"nvidia.com/gpu": 8, "memory": "64Gi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "readOnlyRootFilesystem": False},
            "backoffLimit": 3,
            "activeDeadlineSeconds": 86400,
            "ttlSecondsAfterFinished": 0,
        },
        "extraVolumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "runtimeClassName": "nvidia",
        "priorityClassName": "high",
        "nodeSelector": {"gpu": "h200"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "registry"}],
        "podLabels": {"team": "ml"},
        "podAnnotations": {"note": "mine", "prometheus.io/path": "/mine"},
    },
    "images by digest": {
        "image": {"repository": "registry.example/wayside", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    },
    "several pods on the hosts' network": {
        "job": {"parallelism": 4},
        "hostNetwork": True,
        "collector": {"port": 19750, "localPort": 19751, "address": "[::]"},
    },
    "users and group left to the cluster": {
        "podSecurityContext": {"fsGroup": None},
        "collector": {"securityContext": _NO_USER},
        "job": {"securityContext": _NO_USER},
    },
    "limits": {
        "socket": {"sizeLimit": "1Gi"},
        "data": {"sizeLimit": "20Gi"},
        "terminationGracePeriodSeconds": 600,
        "collector": {
            "config": {"grace": "5m", "spool": {"max_size": "10 GB"}},
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
        },
    },
    "long names": {"fullnameOverride": "a-name-that-is-as-long-as-helm-lets-a-release-be-named"[:53]},
    "another service account": {"serviceAccount": {"create": False, "name": "builder"}, "nameOverride": "metrics"},
}


@dataclass(frozen=True)
class Rendered:
    """The objects of a rendering, in the order in which they came out."""

    objects: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [found for found in self.objects if found["kind"] == kind]

    @property
    def job(self) -> dict[str, Any]:
        (found,) = self.of("Job")
        return found

    @property
    def pod(self) -> dict[str, Any]:
        """The pod template's spec."""
        spec: dict[str, Any] = self.job["spec"]["template"]["spec"]
        return spec

    @property
    def trainer(self) -> dict[str, Any]:
        (found,) = self.pod["containers"]
        return found

    @property
    def collector(self) -> dict[str, Any]:
        (found,) = self.pod["initContainers"]
        return found

    @property
    def config(self) -> dict[str, Any]:
        """The collector's configuration, as it will read it."""
        (found,) = self.of("ConfigMap")
        tree: dict[str, Any] = yaml.safe_load(found["data"]["wayside.yaml"])
        return tree

    @property
    def pods(self) -> list[dict[str, Any]]:
        """The specs of all pods: the Job's, and the test's where there is one."""
        return [self.pod, *(pod["spec"] for pod in self.of("Pod"))]


def run_helm(helm: Path, command: str, values: Values, *options: str) -> subprocess.CompletedProcess[str]:
    arguments = [str(helm), command, *([RELEASE] if command == "template" else []), str(CHART)]
    arguments += ["--values", "-", "--namespace", NAMESPACE, *options]
    return subprocess.run(arguments, input=json.dumps(values), capture_output=True, text=True)


def render(helm: Path, values: Values, *, kubernetes: str = "1.33") -> Rendered:
    text = _template(helm, json.dumps(values), kubernetes)
    return Rendered([found for found in yaml.safe_load_all(text) if found])


def refusal(helm: Path, values: Values) -> str:
    """What Helm says of values that it must refuse."""
    done = run_helm(helm, "template", values, "--kube-version", "1.33")
    assert done.returncode != 0, "Helm took it"
    return done.stderr


def environment(container: dict[str, Any]) -> dict[str, str]:
    """A container's plain variables."""
    return {entry["name"]: entry["value"] for entry in container.get("env", ()) if "value" in entry}


def mounts(container: dict[str, Any]) -> dict[str, str]:
    """Path to the volume's name."""
    return {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", ())}


@cache
def _template(helm: Path, values: str, kubernetes: str) -> str:
    done = run_helm(helm, "template", json.loads(values), "--kube-version", kubernetes)
    assert done.returncode == 0, done.stderr
    return done.stdout
