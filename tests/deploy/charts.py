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

#: What the tests of a training's pod set beneath everything: a Job, and nothing else.
JOB: Values = {"job": {"enabled": True}, "gateway": {"enabled": False}}


def _read(folder: str) -> dict[str, Values]:
    paths = sorted((Path(__file__).parent / "values" / folder).glob("*.yaml"))
    return {path.stem.replace("-", " "): yaml.safe_load(path.read_text()) for path in paths}


#: What people set, one thing or several at a time: of a Job, and of everything else.
VARIATIONS = _read("job")
PLATFORM = _read("platform")


@dataclass(frozen=True)
class Rendered:
    """The objects of a rendering, in the order in which they came out."""

    objects: list[dict[str, Any]]

    def of(self, kind: str, name: str | None = None) -> list[dict[str, Any]]:
        found = [one for one in self.objects if one["kind"] == kind]
        return found if name is None else [one for one in found if one["metadata"]["name"] == name]

    def one(self, kind: str, name: str | None = None) -> dict[str, Any]:
        (found,) = self.of(kind, name)
        return found

    @property
    def job(self) -> dict[str, Any]:
        return self.one("Job")

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
        found = next(one for one in self.of("ConfigMap") if "wayside.yaml" in one["data"])
        tree: dict[str, Any] = yaml.safe_load(found["data"]["wayside.yaml"])
        return tree

    @property
    def pods(self) -> list[dict[str, Any]]:
        """The specs of all pods: the Job's, the parts', and the tests'."""
        parts = [*self.of("Job"), *self.of("StatefulSet"), *self.of("DaemonSet")]
        return [*(part["spec"]["template"]["spec"] for part in parts), *(pod["spec"] for pod in self.of("Pod"))]


def run_helm(helm: Path, command: str, values: Values, *options: str) -> subprocess.CompletedProcess[str]:
    arguments = [str(helm), command, *([RELEASE] if command == "template" else []), str(CHART)]
    arguments += ["--values", "-", "--namespace", NAMESPACE, *options]
    return subprocess.run(arguments, input=json.dumps(values), capture_output=True, text=True)


def over(base: Values, values: Values) -> Values:
    """Values over others, group by group, as Helm lays them."""
    made = dict(base)
    for key, value in values.items():
        below = made.get(key)
        made[key] = over(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return made


def render(helm: Path, values: Values, *, kubernetes: str = "1.33", base: Values = JOB) -> Rendered:
    """base: `JOB`, or {} for the chart as it is."""
    text = _template(helm, json.dumps(over(base, values)), kubernetes)
    return Rendered([found for found in yaml.safe_load_all(text) if found])


def refusal(helm: Path, values: Values, *, kubernetes: str = "1.33", base: Values = JOB) -> str:
    """What Helm says of values that it must refuse."""
    done = run_helm(helm, "template", over(base, values), "--kube-version", kubernetes)
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
