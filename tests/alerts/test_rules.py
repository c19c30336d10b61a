"""The alert rules as promtool sees them, and as people meet them: tested both ways, with a page each, and thresholds
that the chart can set.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from standins.prometheus_server import find

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "helm" / "wayside" / "files" / "rules").glob("*.yaml"))
PAGES = ROOT / "docs" / "runbooks"
HEADINGS = ["What it means", "How to see it", "What to do", "How to silence it"]

pytestmark = pytest.mark.timeout(60)


def rules(path: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: (path.name, rule) for path in RULES for rule in rules(path) if "alert" in rule}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_promtool_runs_their_tests(path: Path) -> None:
    """Each file of rules passes its own tests, by promtool."""
    command = [find("promtool"), "test", "rules", str(Path(__file__).with_name(path.name))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_and_does_not() -> None:
    """In those tests each alert fires at least once, exactly as its labels and annotations say, and is looked for where
    something else on the same page of metrics must not raise it.
    """
    fired = set()
    for path in RULES:
        for test in yaml.safe_load(Path(__file__).with_name(path.name).read_text())["tests"]:
            assert len(test["input_series"]) > 1, f"{test['name']}: nothing there that must not raise it"
            fired |= {one["alertname"] for one in test["alert_rule_test"] if one.get("exp_alerts")}
    assert fired == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_has_its_page(name: str) -> None:
    """The runbook it links exists, bears its name, and says the four things that one at night needs."""
    link = ALERTS[name][1]["annotations"]["runbook_url"]
    page = (ROOT / link).read_text()
    assert f"`{name}`" in page.splitlines()[0]
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == HEADINGS
    assert f"({Path(link).name})" in (PAGES / "README.md").read_text()


def test_each_page_has_its_alert() -> None:
    """No page is left over, and every link between the pages leads somewhere."""
    linked = {Path(rule["annotations"]["runbook_url"]).name for _, rule in ALERTS.values()}
    assert linked == {path.name for path in PAGES.glob("*.md")} - {"README.md"}
    for path in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_charts_thresholds_are_the_rules() -> None:
    """Each threshold stands in the rules under its name, once, as the number which the chart has by default."""
    text = "".join(path.read_text() for path in RULES)
    found = re.findall(r"([0-9.]+) # (\w+)$", text, re.MULTILINE)
    values = yaml.safe_load((ROOT / "helm" / "wayside" / "values.yaml").read_text())["rules"]["thresholds"]
    assert len(found) == len(values)
    assert {name: float(number) for number, name in found} == values
