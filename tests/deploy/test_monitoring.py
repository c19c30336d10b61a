"""What Prometheus and Grafana are given: monitors by their fields, rules by promtool, dashboards as they lie there."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.charts import CHART, NAMESPACE, PLATFORM, Rendered, Values, render

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

#: Of the operator's resources, what the chart sets; anything else would be a slip.
ENDPOINT = {"port", "path", "interval", "scheme", "tlsConfig"}
RULE = """groups:
  - name: test
    rules:
      - alert: Test
        expr: up == 0
        for: 5m
        annotations: {summary: "{{ $labels.instance }} is {{ $value }}"}
"""


@pytest.fixture
def everything(helm: Path) -> Rendered:
    return render(helm, PLATFORM["everything"], base={})


def pod_labels(found: Rendered) -> dict[str, dict[str, str]]:
    """Component to the labels of its pods."""
    parts = [*found.of("StatefulSet"), *found.of("DaemonSet"), *found.of("Job")]
    labels = [part["spec"]["template"]["metadata"]["labels"] for part in parts]
    return {one["app.kubernetes.io/component"]: one for one in labels}


def ports(found: Rendered, component: str) -> set[str]:
    (spec,) = [
        part["spec"]["template"]["spec"]
        for kind in ("StatefulSet", "DaemonSet", "Job")
        for part in found.of(kind)
        if part["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == component
    ]
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    return {port["name"] for one in containers for port in one.get("ports", ())}


def test_monitors_find_their_pods(everything: Rendered) -> None:
    """Each PodMonitor selects one part's pods, by a port that they have, with the labels that Prometheus asks for."""
    monitors = everything.of("PodMonitor")
    selected = set()
    for monitor in monitors:
        assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert set(endpoint) <= ENDPOINT
        assert endpoint["path"] == "/metrics"
        wanted = monitor["spec"]["selector"]["matchLabels"]
        (component,) = [name for name, labels in pod_labels(everything).items() if wanted.items() <= labels.items()]
        assert endpoint["port"] in ports(everything, component)
        selected.add(component)
    assert selected == {"training", "node"}


def test_the_service_monitor_finds_the_service(everything: Rendered) -> None:
    """It selects the gateway's Service by labels, its port by name, and speaks TLS where the gateway does."""
    monitor = everything.one("ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert set(endpoint) <= ENDPOINT
    assert endpoint["scheme"] == "https"
    service = everything.one("Service", "demo-wayside-gateway")
    assert endpoint["tlsConfig"]["serverName"] == f"{service['metadata']['name']}.{NAMESPACE}.svc"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    for other in ("primus-lens-telemetry-processor", "lens-api"):
        names = {port["name"] for port in everything.one("Service", other)["spec"]["ports"]}
        assert endpoint["port"] not in names, "the gateway would be scraped twice"


def test_annotations_or_monitors(helm: Path) -> None:
    """Prometheus finds each part one way: by annotations, by monitors, or not at all."""

    def annotated(values: Values) -> set[bool]:
        found = render(helm, values, base={})
        parts = [*found.of("StatefulSet"), *found.of("DaemonSet")]
        return {"prometheus.io/scrape" in part["spec"]["template"]["metadata"]["annotations"] for part in parts}

    nodes = PLATFORM["nodes that adopt"]
    assert annotated(nodes) == {True}
    assert annotated({**nodes, "scrape": {"by": "podMonitor"}}) == {False}
    assert annotated({**nodes, "scrape": {"by": "none"}}) == {False}
    assert render(helm, {**nodes, "scrape": {"by": "none"}}, base={}).of("PodMonitor") == []


@pytest.fixture
def with_files(tmp_path: Path) -> Path:
    """The chart, with a rule and a dashboard in it beside whatever it has."""
    made = tmp_path / "wayside"
    shutil.copytree(CHART, made)
    for folder, name, text in (
        ("rules", "test.yaml", RULE),
        ("dashboards", "test.json", json.dumps({"title": "Test", "uid": "test", "legend": "{{run}} ${datasource}"})),
    ):
        (made / "files" / folder).mkdir(exist_ok=True)
        (made / "files" / folder / name).write_text(text)
    return made


def rendered_with(helm: Path, chart: Path, values: Values) -> Rendered:
    arguments = [helm, "template", "demo", chart, "--namespace", NAMESPACE, "--kube-version", "1.33", "--values", "-"]
    done = subprocess.run(arguments, input=json.dumps(values), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Rendered([found for found in yaml.safe_load_all(done.stdout) if found])


def check_rules(rules: Any, folder: Path) -> None:
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(rules))
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_promtools(helm: Path, with_files: Path, tmp_path: Path) -> None:
    """Each file of rules comes out as a PrometheusRule that promtool takes, its templates untouched by Helm."""
    found = rendered_with(helm, with_files, {"rules": {"enabled": True}, "scrape": {"labels": {"release": "p"}}})
    names = {path.stem for path in (with_files / "files" / "rules").glob("*.yaml")}
    rules = found.of("PrometheusRule")
    assert {rule["metadata"]["name"] for rule in rules} == {f"demo-wayside-{name}" for name in names}
    for rule in rules:
        assert rule["metadata"]["labels"]["release"] == "p"
        check_rules(rule["spec"], tmp_path)
    (ours,) = [rule for rule in rules if rule["metadata"]["name"] == "demo-wayside-test"]
    assert ours["spec"] == yaml.safe_load(RULE)


def test_rules_as_files(helm: Path, with_files: Path, tmp_path: Path) -> None:
    """For a Prometheus without operator the same files come in ConfigMaps."""
    found = rendered_with(helm, with_files, {"rules": {"enabled": True, "by": "configMap"}})
    assert found.of("PrometheusRule") == []
    file = found.one("ConfigMap", "demo-wayside-test")
    check_rules(yaml.safe_load(file["data"]["test.yaml"]), tmp_path)


def test_dashboards_come_as_they_are(helm: Path, with_files: Path) -> None:
    """Each dashboard is a ConfigMap with the label Grafana's sidecar looks for, byte for byte what lies there."""
    values: Values = {
        "dashboards": {"enabled": True, "labels": {"grafana_dashboard": "yes"}, "annotations": {"f": "T"}}
    }
    found = rendered_with(helm, with_files, values)
    for path in (with_files / "files" / "dashboards").glob("*.json"):
        file = found.one("ConfigMap", f"demo-wayside-{path.stem}")
        assert file["data"] == {path.name: path.read_text()}
        assert file["metadata"]["labels"]["grafana_dashboard"] == "yes"
        assert file["metadata"]["annotations"] == {"f": "T"}


def test_thresholds_and_links_come_from_values(helm: Path) -> None:
    """A threshold that is set replaces the number of its name and no other; links begin with what is set."""
    values: Values = {"rules": {"enabled": True, "thresholds": {"gradNorm": 25}, "runbooks": "https://wiki/wayside/"}}
    found = render(helm, values, base={}).of("PrometheusRule")
    rules = [rule for one in found for group in one["spec"]["groups"] for rule in group["rules"]]
    alerts = {rule["alert"]: rule for rule in rules if "alert" in rule}
    assert "> 25 # gradNorm" in alerts["WaysideGradNormHigh"]["expr"]
    assert "> 600 # stalledSeconds" in alerts["WaysideRunStalled"]["expr"]
    assert alerts["WaysideRunStalled"]["annotations"]["runbook_url"] == "https://wiki/wayside/run-stalled.md"
