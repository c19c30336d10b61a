"""The stand-in backend, and the sink behind a pump in miniature. The SDK in these tests is the real one."""

from pathlib import Path

import pytest
import pytest_asyncio
from standins.wandb_backend import WandbBackend
from standins.wandb_pump import MiniPump
from wayside_collector.sinks.wandb import WandbOptions


@pytest.fixture
def backend():
    """A W&B of its own."""
    with WandbBackend() as backend:
        yield backend


@pytest.fixture
def online(backend: WandbBackend) -> WandbOptions:
    """Options that lead to it, with the shortest interval the SDK knows."""
    return WandbOptions(base_url=backend.url, api_key=backend.key, upload_interval=1, finish_timeout=5.0)


@pytest_asyncio.fixture
async def pump(online: WandbOptions, tmp_path: Path):
    """An open sink, uploading."""
    async with MiniPump(online, tmp_path) as pump:
        yield pump


@pytest_asyncio.fixture
async def offline(tmp_path: Path):
    """An open sink, writing run folders."""
    async with MiniPump(WandbOptions(mode="offline"), tmp_path) as pump:
        yield pump
