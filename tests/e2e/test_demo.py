"""The demo, as a newcomer runs it."""

from __future__ import annotations

import asyncio
import subprocess

from e2e_support.stack import PROGRAMS
from lab.behaviours import PHRASES
from lab.demo.cast import CAST
from lab.paths import REPOSITORY, LabPaths

LOG = REPOSITORY / "logs/app.log"


async def test_the_demo_is_right_and_discreet(lab_paths: LabPaths, lab_env: object) -> None:
    """All twelve contacts get their right result; no number and no word spoken is in any log."""
    before = LOG.stat().st_size if LOG.exists() else 0
    process = await asyncio.create_subprocess_exec(
        PROGRAMS / "python",
        "-m",
        "lab.demo",
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(300):
        output, _ = await process.communicate()
    shown = output.decode()
    assert process.returncode == 0, shown
    assert "12 of 12 contacts" in shown
    with LOG.open("rb") as log:
        log.seek(before if LOG.stat().st_size >= before else 0)
        logged = log.read().decode()
    logged += (lab_paths.base / "demo/services.log").read_text(encoding="utf-8")
    assert "a call ended" in logged
    for contact in CAST:
        assert contact.number not in shown + logged
        assert contact.number.removeprefix("0") not in shown + logged
    for phrase in PHRASES:
        assert phrase not in logged
