"""The lab, started as a user starts it: its processes outlive the one that starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from lab import addresses, asterisk_config, control, processes
from lab.demo.campaign import prepare, sync_prompts
from lab.demo.cast import SETTINGS
from lab.paths import ASTERISK_DIR_INSIDE, REPOSITORY, LabPaths
from servicekit.tls import TlsFiles
from support.ports import free_port

PATHS = LabPaths(REPOSITORY / ".lab")
_SYNCED: set[str] = set()


async def up(language: str = "en") -> None:
    """Start what is not running; the people wait as long as the prompts of a language are.

    Once per run the prompts are brought up to date first, as a user does it.
    """
    await _start(language)
    if language not in _SYNCED:
        await sync_prompts(prepare(PATHS, {**SETTINGS, "CALL_LANGUAGE": language}))
        _SYNCED.add(language)
        await _start(language)


async def _start(language: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "lab",
        "up",
        "--language",
        language,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


def kill_asterisk() -> None:
    """End the lab's Asterisk without a word."""
    for part in processes.running_parts():
        if part.name == control.ASTERISK_NAME:
            os.kill(part.pid, signal.SIGKILL)


def ari() -> httpx.AsyncClient:
    """Make a client of the lab's Asterisk."""
    return httpx.AsyncClient(
        base_url=f"http://{addresses.ARI.address}/ari",
        auth=(asterisk_config.ARI_USERNAME, asterisk_config.ari_password(PATHS)),
        trust_env=False,
    )


@asynccontextmanager
async def asterisk_says(level: str) -> AsyncIterator[Path]:
    """Let Asterisk write one level of its log to a file of its own while the block runs."""
    async with ari() as asterisk:
        path = f"/asterisk/logging/{level}-alone"
        (await asterisk.post(path, params={"configuration": level})).raise_for_status()
        log = PATHS.asterisk_dir / f"log/{level}-alone"
        try:
            yield log
        finally:
            await asterisk.delete(path)
            log.unlink()


@asynccontextmanager
async def asterisk_over_tls(shown: TlsFiles) -> AsyncIterator[int]:
    """Have Asterisk's HTTP server speak TLS, too, while the block runs; give the port."""
    etc, port = PATHS.asterisk_dir / "etc", free_port()
    conf, cert, key = etc / "http.conf", etc / "shown.crt", etc / "shown.key"
    without = conf.read_text(encoding="utf-8")
    inside = f"{ASTERISK_DIR_INSIDE}/etc"
    lines = (
        f"tlsenable = yes\ntlsbindaddr = {addresses.LOOPBACK}:{port}\n"
        f"tlscertfile = {inside}/{cert.name}\ntlsprivatekey = {inside}/{key.name}\n"
    )
    async with ari() as asterisk:
        try:
            for source, target in ((shown.cert, cert), (shown.key, key)):
                target.write_bytes(source.read_bytes())
                os.chown(target, conf.stat().st_uid, conf.stat().st_gid)
            conf.write_text(f"{without}\n{lines}", encoding="utf-8")
            (await asterisk.put("/asterisk/modules/http")).raise_for_status()
            yield port
        finally:
            conf.write_text(without, encoding="utf-8")
            (await asterisk.put("/asterisk/modules/http")).raise_for_status()
            cert.unlink(missing_ok=True)
            key.unlink(missing_ok=True)


async def inbound_call(behaviour: str) -> tuple[int, str]:
    """Call a line of ours once; give how the caller ended, and what was said of it."""
    caller = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lab", "call", "--to", "02191001001", "--behaviour", behaviour),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await caller.communicate()
    return caller.returncode or 0, said.decode()
