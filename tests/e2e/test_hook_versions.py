"""Every wandb from 0.13 to ours, for real: the same script, and the same of it arrives, mirrored and diverted."""

import pytest
from e2e.hooked import CONFIG, DEFINED, ROWS, SUMMARY, heard, train
from e2e.machine import Machine
from e2e.wandb_versions import INSTALLED, MIDDLE, OLDEST, RELEASES, python_with

pytestmark = pytest.mark.timeout(180)

ALWAYS = (INSTALLED, MIDDLE, OLDEST)  #: in `make test`
VERSIONS = [*ALWAYS, *(pytest.param(version, marks=pytest.mark.long) for version in RELEASES if version not in ALWAYS)]


@pytest.mark.parametrize(("hook", "mode"), [("mirror", "offline"), ("mirror", "disabled"), ("divert", "online")])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_is_heard(machine: Machine, version: str, hook: str, mode: str):
    """Rows, config, summary, definitions, alert and exit code; in divert without a process of wandb's own, and the run
    shows what it was called.
    """
    collector = machine.collector().wait_ready()
    said = train(machine, python=[str(python_with(version))], WAYSIDE_WANDB_HOOK=hook, WANDB_MODE=mode)
    assert "Error: wandb.log must be passed a dictionary" in said, said
    collector.wait_delivered()
    found = heard(machine)
    assert found["rows"] == ROWS
    assert found["config"] == CONFIG
    assert found["summary"] == SUMMARY
    assert found["defined"] == DEFINED
    assert found["alert"] == [("careful", "WARN")]
    assert found["finish"] == [3]
    if hook == "divert":
        assert f"url {collector.url}/runs/hooked-1 id hooked-1 name n project hooked" in said
    assert (machine.folder / "wandb").exists() == (mode == "offline")
    if mode == "offline":
        assert list(machine.folder.glob("wandb/offline-run-*-hooked-1/run-hooked-1.wandb"))
