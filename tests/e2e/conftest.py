"""End to end: a real Asterisk, people who really speak, the services as processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from e2e_support import lab
from e2e_support.demo import DemoRun, run_demo
from e2e_support.stack import MakeStack, Stack, eventually, stack
from lab import asterisk_config
from lab.paths import REPOSITORY, LabPaths


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as end-to-end."""
    for item in items:
        if "tests/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def lab_paths() -> LabPaths:
    """Give the lab's folders."""
    return LabPaths(REPOSITORY / ".lab")


@pytest.fixture
async def lab_env(lab_paths: LabPaths) -> AsyncIterator[Path]:
    """Give the settings of a running lab with its prompts; check that the test leaves no call."""
    await lab.up()
    yield lab_paths.env_file
    await _nothing_left(lab_paths)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def demo(lab_paths: LabPaths) -> DemoRun:
    """Give the demo, run once for all that look at it."""
    await lab.up()
    return await run_demo(lab_paths)


@pytest.fixture
def make_stack(tmp_path: Path, lab_env: Path) -> MakeStack:
    """Give a way to run services with settings of the test's own."""

    def make(*services: str, **settings: str) -> AbstractAsyncContextManager[Stack]:
        return stack(tmp_path, lab_env, *services, **settings)

    return make


async def _nothing_left(paths: LabPaths) -> None:
    """Fail when a channel or bridge is left on Asterisk."""
    auth = httpx.BasicAuth(asterisk_config.ARI_USERNAME, asterisk_config.ari_password(paths))
    async with httpx.AsyncClient(
        base_url="http://127.0.0.1:8088/ari", auth=auth, trust_env=False
    ) as ari:

        async def empty() -> bool:
            channels, bridges = await ari.get("/channels"), await ari.get("/bridges")
            return not channels.json() and not bridges.json()

        await eventually(empty, within_s=10, what="no channel and no bridge left on Asterisk")
