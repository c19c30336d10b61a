"""examples/job.yaml, for people without Helm, is what the chart makes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.charts import ROOT, Rendered, environment, mounts, render
from deploy.test_rendering import validate

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools


@pytest.fixture
def example() -> Rendered:
    return Rendered(list(yaml.safe_load_all((ROOT / "examples" / "job.yaml").read_text())))


@pytest.fixture
def chart(helm: Path) -> Rendered:
    return render(helm, {"fullnameOverride": "train"})


def without(tree: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if key not in keys}


def test_kubernetes_takes_it(example: Rendered, validator: Path) -> None:
    """Its objects are valid by the strict schemas."""
    assert validate(validator, [("1.33", found) for found in example.objects]) == []


def test_the_collector_is_the_chart_s(example: Rendered, chart: Rendered) -> None:
    """Container, volumes, rights and configuration of the collector are those of the chart, but for the image."""
    assert without(example.collector, "image", "env") == without(chart.collector, "image", "env")

    def by_name(entries: list[dict[str, Any]]) -> list[str]:
        return sorted(json.dumps(entry, sort_keys=True) for entry in entries)

    assert by_name(example.collector["env"]) == by_name(chart.collector["env"])
    assert example.collector["image"].endswith(chart.collector["image"])
    assert example.config == chart.config
    for key in ("volumes", "securityContext", "terminationGracePeriodSeconds", "automountServiceAccountToken"):
        assert example.pod[key] == chart.pod[key], key


def test_the_trainer_meets_it(example: Rendered, chart: Rendered) -> None:
    """The trainer's mounts, rights and variables are the chart's."""
    assert mounts(example.trainer) == mounts(chart.trainer)
    assert example.trainer["securityContext"] == chart.trainer["securityContext"]
    assert environment(chart.trainer).items() <= environment(example.trainer).items()
    told = {entry["name"] for entry in example.trainer["env"]}
    assert {entry["name"] for entry in chart.trainer["env"]} <= told
