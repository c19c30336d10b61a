"""examples/compose.yaml and the systemd unit, as far as they can be held without Docker: what they mount is there, what
they listen on is this machine's alone, and each program takes the file it is given.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from standins.prometheus_server import find

EXAMPLES = Path(__file__).parents[2] / "examples"
COMPOSE: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

pytestmark = pytest.mark.timeout(60)


def mounts() -> dict[str, list[tuple[str, str]]]:
    """Service to what it mounts: from, to."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, service in SERVICES.items():
        found[name] = [(one.split(":")[0], one.split(":")[1]) for one in service["volumes"]]
    return found


def source_of(service: str, target: str) -> Path:
    (found,) = [given for given, to in mounts()[service] if to == target]
    return EXAMPLES / found


def test_what_is_mounted_is_there() -> None:
    """Each path is a file or folder of this repository, each volume is declared, and none is declared for nobody."""
    volumes = set()
    for pairs in mounts().values():
        for given, _ in pairs:
            if given.startswith("."):
                assert (EXAMPLES / given).exists(), given
            else:
                volumes.add(given)
    assert volumes == set(COMPOSE["volumes"])
    assert (EXAMPLES / SERVICES["collector"]["build"] / "Dockerfile").exists()


def test_only_this_machine_reaches_it() -> None:
    """Every port is bound to the loopback address: readers need no token there."""
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), port


def test_training_and_collector_share_the_socket() -> None:
    """The volume in which the image has its socket is the one where the training looks for it."""
    shared = {to: given for given, to in mounts()["collector"]}
    assert ("wayside-socket", "/run/wayside") in mounts()["training"]
    assert shared["/run/wayside"] == "wayside-socket"
    assert SERVICES["training"]["environment"]["WAYSIDE_SOCKET"].startswith("/run/wayside/")


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """With the rules where the container has them, promtool finds nothing wrong; the target is the collector's port."""
    path = source_of("prometheus", "/etc/prometheus/prometheus.yml")
    config = yaml.safe_load(path.read_text())
    shutil.copytree(source_of("prometheus", "/etc/prometheus/rules"), tmp_path / "rules")
    config["rule_files"] = [
        one.replace("/etc/prometheus/rules", str(tmp_path / "rules")) for one in config["rule_files"]
    ]
    made = tmp_path / "prometheus.yml"
    made.write_text(yaml.safe_dump(config))
    done = subprocess.run([find("promtool"), "check", "config", made], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") == 3
    assert config["scrape_configs"][0]["static_configs"][0]["targets"] == ["collector:9750"]


def test_grafana_finds_source_and_dashboards() -> None:
    """Its source is the Prometheus service, the default; its folder of dashboards is the one that is mounted."""
    (source,) = yaml.safe_load((EXAMPLES / "compose/grafana/datasources.yaml").read_text())["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = yaml.safe_load((EXAMPLES / "compose/grafana/dashboards.yaml").read_text())["providers"]
    folder = source_of("grafana", provider["options"]["path"])
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (folder / Path(home).name).exists()


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say of it, once the program is where it says."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is missing, which checks the unit (Debian: systemd)")
    text = (EXAMPLES / "wayside-collector.service").read_text()
    assert "/opt/wayside/venv/bin/wayside-collector run " in text
    unit = tmp_path / "wayside-collector.service"
    unit.write_text(text.replace("/opt/wayside/venv/bin/wayside-collector", f"{sys.executable} -m wayside_collector"))
    done = subprocess.run([program, "verify", "--man=no", unit], capture_output=True, text=True)
    said = [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]
    assert (done.returncode, said) == (0, []), done.stdout + done.stderr
