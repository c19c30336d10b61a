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


@pytest.fixture(scope="module")
def shared_backend():
    """One W&B for all tests of a module that make runs of their own."""
    with WandbBackend() as backend:
        yield backend


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_sink(shared_backend: WandbBackend, tmp_path_factory: pytest.TempPathFactory):
    """One open sink, and one child, for those tests: starting the SDK takes a second."""
    options = WandbOptions(base_url=shared_backend.url, api_key=shared_backend.key, upload_interval=1)
    async with MiniPump(options, tmp_path_factory.mktemp("shared")) as pump:
        yield pump


@pytest.fixture
def shared(shared_sink: MiniPump, shared_backend: WandbBackend):
    """The shared sink's pump, which remembers nothing of the test before."""
    shared_backend.heal()
    for memory in (shared_sink.retries, shared_sink.rejected, shared_sink.counts):
        memory.clear()
    return shared_sink
