"""Reading the configuration again: whatever is wrong, the one before stays in force."""

from pathlib import Path

import pytest
from wayside_collector.configuration.changes import Changes, read
from wayside_collector.configuration.reload import Reload


@pytest.mark.asyncio
@pytest.mark.parametrize("problem", [OSError("no certificate"), ValueError("half a key"), ImportError("no wandb")])
async def test_what_fails_after_the_check_ends_nothing(tmp_path: Path, problem: Exception) -> None:
    """A certificate is exchanged between the check and the making of a sink: it is told, and tried when asked again."""
    environ = {"WAYSIDE_DIR": str(tmp_path)}
    fails = True
    followed = 0

    async def follow(changes: Changes) -> None:
        nonlocal followed
        if fails:
            raise problem
        followed += 1

    reload = Reload(read(None, environ), environ, follow)
    await reload.read_again()
    assert reload.last_error == str(problem)
    fails = False
    await reload.read_again()
    assert (reload.last_error, followed) == (None, 1)
