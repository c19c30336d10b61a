"""A stand-in for the Kubernetes API server, as much of it as Helm speaks to: discovery, and objects that are kept.

Nothing is scheduled or run. Objects are stored as they come; a Job's pods cannot be changed, as in a real cluster.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

VERSION = {"major": "1", "minor": "33", "gitVersion": "v1.33.0", "platform": "linux/amd64"}
#: Path of a group's version to its kinds.
GROUPS = {
    "/api/v1": {
        "configmaps": "ConfigMap",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "/apis/apps/v1": {"daemonsets": "DaemonSet", "statefulsets": "StatefulSet"},
    "/apis/autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "/apis/batch/v1": {"jobs": "Job"},
    "/apis/networking.k8s.io/v1": {"ingresses": "Ingress", "networkpolicies": "NetworkPolicy"},
    "/apis/policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "/apis/monitoring.coreos.com/v1": {
        "podmonitors": "PodMonitor",
        "prometheusrules": "PrometheusRule",
        "servicemonitors": "ServiceMonitor",
    },
}
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


class Cluster:
    """What the server keeps. changes: (verb, kind, name) of everything that wrote, Helm's own secrets left out."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.changes: list[tuple[str, str, str]] = []
        self.lock = threading.Lock()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [found for found in self.objects.values() if found["kind"] == kind]

    def note(self, verb: str, found: dict[str, Any]) -> None:
        if not found["metadata"]["name"].startswith("sh.helm."):
            self.changes.append((verb, found["kind"], found["metadata"]["name"]))


@contextmanager
def serve(folder: Path) -> Iterator[tuple[Cluster, Path]]:
    """A cluster, and a kubeconfig in `folder` that leads to it."""
    cluster = Cluster()
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "default"}}],
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "users": [{"name": "me", "user": {}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    try:
        yield cluster, path
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = self._path
        if path in _DISCOVERY:
            self._answer(200, _DISCOVERY[path])
        elif _kind(path) is not None:
            wanted = dict(part.split("=") for part in self._query.get("labelSelector", "").split(",") if part)
            found = [found for key, found in self._below(path) if _matches(found, wanted)]
            self._answer(200, {"kind": f"{_kind(path)}List", "apiVersion": _version(path), "items": found})
        elif path in self.cluster.objects:
            self._answer(200, self.cluster.objects[path])
        else:
            self._status(404, "NotFound")

    def do_POST(self) -> None:
        found = self._body
        path = f"{self._path}/{found['metadata']['name']}"
        with self.cluster.lock:
            if path in self.cluster.objects:
                self._status(409, "AlreadyExists")
                return
            self.cluster.objects[path] = found
            found["metadata"] = {"uid": f"uid-{len(self.cluster.objects)}", "resourceVersion": "1", **found["metadata"]}
            self.cluster.note("create", found)
        self._answer(201, found)

    def do_PUT(self) -> None:
        self.cluster.objects[self._path] = found = self._body
        self.cluster.note("update", found)
        self._answer(200, found)

    def do_PATCH(self) -> None:
        """A merge patch, or an apply, which is one to objects that nobody else writes."""
        old, patch = self.cluster.objects.get(self._path), self._body
        if old is None:
            self._status(404, "NotFound")
            return
        new = _merged(old, patch)
        if new["kind"] == "Job" and new["spec"]["template"] != old["spec"]["template"]:
            self._status(422, "Invalid", "Job.batch is invalid: spec.template: Invalid value: field is immutable")
            return
        self.cluster.objects[self._path] = new
        if new != old:
            self.cluster.note("patch", new)
        self._answer(200, new)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))  # how its dependants go: nothing runs here
        found = self.cluster.objects.pop(self._path, None)
        if found is None:
            self._status(404, "NotFound")
            return
        self.cluster.note("delete", found)
        self._answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    @property
    def _path(self) -> str:
        return urlsplit(self.path).path

    @property
    def _query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    @property
    def _body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _below(self, path: str) -> list[tuple[str, dict[str, Any]]]:
        return [(key, found) for key, found in self.cluster.objects.items() if key.rpartition("/")[0] == path]

    def _status(self, code: int, reason: str, message: str = "") -> None:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
        self._answer(code, {**status, "message": message or f"{self._path}: {reason}"})

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _version(path: str) -> str:
    return next(group for group in GROUPS if path.startswith(f"{group}/")).removeprefix("/apis/").removeprefix("/api/")


def _kind(path: str) -> str | None:
    """The kind of a path that ends with a resource's name: a collection."""
    for group, kinds in GROUPS.items():
        if path.startswith(f"{group}/"):
            return kinds.get(path.rpartition("/")[2])
    return None


def _matches(found: dict[str, Any], wanted: dict[str, str]) -> bool:
    labels = found["metadata"].get("labels", {})
    return all(labels.get(name) == value for name, value in wanted.items())


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(patch, dict):
        return patch
    new = {key: value for key, value in old.items() if patch.get(key, value) is not None}
    new |= {key: _merged(old.get(key), value) for key, value in patch.items() if value is not None}
    return new


def _groups() -> list[dict[str, Any]]:
    found = []
    for path in GROUPS:
        if path.startswith("/apis/"):
            _, _, name, version = path.split("/")
            entry = {"groupVersion": f"{name}/{version}", "version": version}
            found.append({"name": name, "versions": [entry], "preferredVersion": entry})
    return found


_DISCOVERY: dict[str, dict[str, Any]] = {
    "/version": VERSION,
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups()},
    **{
        path: {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": path.removeprefix("/apis/").removeprefix("/api/"),
            "resources": [
                {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": VERBS}
                for name, kind in kinds.items()
            ],
        }
        for path, kinds in GROUPS.items()
    },
}
