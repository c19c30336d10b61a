"""The chart as a library: another chart takes it as a dependency, and puts the collector into a pod of its own."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from deploy.charts import CHART, NAMESPACE, Rendered, environment, mounts, render
from deploy.test_rendering import validate

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

README = (CHART / "README.md").read_text()
HEAD = """apiVersion: batch/v1
kind: Job
metadata:
  name: mine
  namespace: {{ .Release.Namespace }}
"""


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """The chart that the README shows, with this one below it."""
    made = tmp_path / "mine"
    (made / "templates").mkdir(parents=True)
    shutil.copytree(CHART, made / "charts" / "wayside")
    (made / "Chart.yaml").write_text("apiVersion: v2\nname: mine\nversion: 9.9.9\nappVersion: 8.8.8\n")
    values, job = (
        found
        for found in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
        if found.startswith(("# values", "# templ"))
    )
    (made / "values.yaml").write_text(values)
    (made / "templates" / "job.yaml").write_text(
        HEAD + job.replace("    spec:\n", "    spec:\n      restartPolicy: Never\n", 1)
    )
    return made


def render_parent(helm: Path, parent: Path, kubernetes: str = "1.33") -> Rendered:
    done = subprocess.run(
        [helm, "template", "demo", parent, "--namespace", NAMESPACE, "--kube-version", kubernetes],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return Rendered([found for found in yaml.safe_load_all(done.stdout) if found])


def test_the_readme_s_chart(helm: Path, parent: Path, validator: Path) -> None:
    """What the README shows renders into a valid Job, whose sidecar, environment and volumes are those of the chart's
    own Job with the same values.
    """
    found = render_parent(helm, parent)
    assert validate(validator, [("1.33", one) for one in found.objects]) == []
    values = yaml.safe_load((parent / "values.yaml").read_text())["wayside"]
    ours = render(helm, values)
    assert found.collector == ours.collector
    assert environment(found.trainer).items() >= environment(ours.trainer).items()
    assert mounts(found.trainer) == mounts(ours.trainer)
    assert found.pod["volumes"] == ours.pod["volumes"]
    assert found.config == ours.config
    assert found.config["sinks"]["gateway"]["endpoint"] == "http://wayside-gateway.wayside.svc:9750"


def test_versions_are_this_chart_s(helm: Path, parent: Path) -> None:
    """The collector's image is that of this chart's version, and not of the chart around it."""
    assert render_parent(helm, parent).collector["image"] == "wayside-collector:0.1.0"


def test_the_readme_names_templates_that_are_there() -> None:
    """Each template of its table is defined in the chart."""
    named = set(re.findall(r"^\| `(wayside\.[a-z]+)`", README, re.MULTILINE))
    text = "".join(path.read_text() for path in (CHART / "templates").glob("*.tpl"))
    assert len(named) == 5
    assert named <= set(re.findall(r'define "([^"]+)"', text))


def test_nothing_else_comes_along(helm: Path, parent: Path) -> None:
    """Beside the Job there are the configuration and the account."""
    kinds = sorted(one["kind"] for one in render_parent(helm, parent).objects)
    assert kinds == ["ConfigMap", "Job", "ServiceAccount"]
    assert "tokens" not in json.dumps(render_parent(helm, parent).objects)
