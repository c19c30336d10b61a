"""What the Dockerfile promises: a final stage without a root user, pinned packages, and only two places written."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from deploy.dockerfile import PATH, final_stage, stages
from wayside.settings import SYSTEM_SOCKET, read_settings, socket_candidates
from wayside_collector import __version__
from wayside_collector.configuration import config

ROOT = PATH.parent


@pytest.mark.timeout(600)  # the first test that runs installs the tools
def test_hadolint(hadolint: Path) -> None:
    """hadolint has nothing to say, not even for style, and no rule of it is switched off."""
    done = subprocess.run([hadolint, "--format", "json", PATH], capture_output=True, text=True)
    assert json.loads(done.stdout) == []
    assert "hadolint ignore" not in PATH.read_text()


def test_what_builds_stays_behind() -> None:
    """The final stage has the base of the one that builds, and takes one folder of it; Node is only where the page is
    built.
    """
    page, build, final = stages()
    assert (page.name, page.base, build.name, final.name) == ("page", "${NODE}", "build", "")
    assert build.base == final.base == "${BASE}"
    copies = final.of("COPY")
    assert copies == ["--from=build /opt/wayside /opt/wayside"]
    assert re.search(r"^ARG BASE=docker\.io/library/python:3\.\d+-slim-\w+$", PATH.read_text(), re.MULTILINE)


def test_nobody_in_particular() -> None:
    """It runs as a user without a name in Kubernetes's eyes, so by number: runAsNonRoot accepts no name."""
    final = final_stage()
    assert final.user == "65532:65532"
    (made,) = final.of("RUN")
    assert "useradd --uid 65532 --gid 65532" in made
    assert "--mode=2770 /run/wayside /var/lib/wayside" in made


def test_only_two_places_are_written() -> None:
    """Home, temporary files, the collector's and the socket's folder all lie in the two volumes."""
    final = final_stage()
    volumes = final.words("VOLUME")
    assert volumes == ["/run/wayside", "/var/lib/wayside"]
    environ = final.pairs("ENV")
    for name in ("HOME", "TMPDIR", "WAYSIDE_DIR"):
        assert environ[name] == "/var/lib/wayside"
    assert final.of("WORKDIR") == ["/var/lib/wayside"]
    assert environ["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_environment_is_one_the_collector_takes() -> None:
    """Without any configuration the image answers probes on every address, and listens where clients look first."""
    environ = final_stage().pairs("ENV")
    found = config.build({}, environ)
    assert found.top.listen_public == "0.0.0.0:9750"
    assert found.address == ("127.0.0.1", 9751)
    assert found.top.socket == SYSTEM_SOCKET == socket_candidates(read_settings({}))[0]
    assert found.dir == Path("/var/lib/wayside")
    assert final_stage().of("EXPOSE") == ["9750"]


def test_it_runs_the_collector() -> None:
    """`docker run IMAGE` collects, and `docker run IMAGE check …` is one command away; no HEALTHCHECK is defined."""
    final = final_stage()
    assert final.words("ENTRYPOINT") == ["wayside-collector"]
    assert final.words("CMD") == ["run"]
    assert final.pairs("ENV")["PATH"].startswith("/opt/wayside/venv/bin:")
    assert final.of("HEALTHCHECK") == []


def test_labels() -> None:
    """The image says what it is, in the OCI's words, and its version is this tree's."""
    labels = final_stage().pairs("LABEL")
    known = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    assert set(known) == {"title", "description", "version", "revision", "licenses", "base.name"}
    assert known["version"] == __version__
    assert known["licenses"] == "Apache-2.0"
    assert final_stage().pairs("ARG")["REVISION"] == "unknown"


def test_packages_are_pinned_and_not_kept() -> None:
    """What comes from outside is fetched by hash; all else is installed from what was fetched. No cache is left."""
    _, build, final = stages()
    commands = [part.strip() for run in build.of("RUN") for part in run.split("&&")]
    pips = [command for command in commands if command.startswith("pip ")]
    fetched, *others = pips
    assert "pip download" in fetched
    assert "--require-hashes" in fetched
    assert len(others) == 4
    for command in pips:
        assert "--no-cache-dir" in command
    for command in others:
        assert "--no-index" in command or "--no-deps --no-build-isolation" in command
    assert not any("pip" in run for run in final.of("RUN"))
    assert "npm ci" in stages()[0].of("RUN")[0], "by the lock file, with the hash of each package"


def test_the_lock_with_hashes_is_that_of_the_versions() -> None:
    """requirements-image.txt has what the collector and its extras need, at the versions of requirements.txt."""
    pins, hashed = _pins("requirements.txt"), _pins("requirements-image.txt")
    again = "run scripts/lock-image"
    assert {name: pins[name] for name in hashed if name in pins} == {
        name: version for name, version in hashed.items() if name in pins
    }, again
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for name in ("wandb", "mqtt", "postgresql") for one in project["optional-dependencies"][name]]
    for wanted in [*project["dependencies"], *extras, "hatchling"]:
        name = re.split(r"[\[<>=;! ]", wanted)[0]
        if name != "wayside":
            assert name.lower().replace("_", "-").replace(".", "-") in hashed, f"{name}: {again}"


def _pins(name: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", (ROOT / name).read_text(), re.MULTILINE)
    return {package.lower().replace("_", "-"): version for package, version in found}


def test_reproducible() -> None:
    """Both Python stages know SOURCE_DATE_EPOCH, and what pip would compile with times in it is compiled by hash."""
    for stage in stages()[1:]:
        assert int(stage.pairs("ARG")["SOURCE_DATE_EPOCH"]) > 0
    (install,) = [run for run in stages()[1].of("RUN") if "compileall" in run]
    assert "--no-compile" in install
    assert "--invalidation-mode unchecked-hash" in install


def test_the_context_holds_what_is_copied_and_little_more() -> None:
    """.dockerignore leaves everything out and lets in exactly what the Dockerfile copies."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copies = [rest.split() for stage in stages() for rest in stage.of("COPY")]
    copied = {part for parts in copies if not parts[0].startswith("--from=") for part in parts[:-1]}
    assert let_in == copied
    assert all((ROOT / name).exists() for name in copied)
