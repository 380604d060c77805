"""A Docker Engine for tests: the one that runs, or one of the project's own that ends with them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from lab.paths import REPOSITORY

_FOLDER = REPOSITORY / "deploy/docker"
_KEPT = ("PATH", "HOME", "ENGINE_DIR", "DOCKER_HOST", "DOCKER_CONFIG")
_LONGEST_S = 900
# What the scripts say where this machine is not made for it, and where dockerd does not start.
_REFUSED = {3, 4}


class NoEngineError(Exception):
    """Docker cannot run here; says why."""


@contextmanager
def docker_engine() -> Iterator[dict[str, str]]:
    """Give the environment in which `docker` finds an engine, compose and the images we build on.

    Raises:
        NoEngineError: there is none, and none can be started.
    """
    if os.geteuid() != 0:
        raise NoEngineError("containers are killed from outside, which takes root")
    env = {key: os.environ[key] for key in _KEPT if key in os.environ}
    _run("engine.sh install", env)
    env |= _printed(env)
    ran_before = _answers(env)
    if not ran_before:
        _run("engine.sh start", env)
        env |= _printed(env)
    try:
        if "DOCKER_HOST" in _printed(env):  # the project's own, which reaches no registry
            _run("bases.sh", env)
        yield env
    finally:
        if not ran_before:
            _run("engine.sh stop", env)


def _printed(env: dict[str, str]) -> dict[str, str]:
    lines = _run("engine.sh env", env).splitlines()
    found = [re.fullmatch(r"export ([A-Z_]+)=(.*)", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def _answers(env: dict[str, str]) -> bool:
    done = subprocess.run(["docker", "info"], env=env, capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def _run(command: str, env: dict[str, str]) -> str:
    script, *arguments = command.split()
    done = subprocess.run(
        [_FOLDER / script, *arguments],
        env=env,
        check=False,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
    )
    if done.returncode in _REFUSED:
        raise NoEngineError(" ".join(done.stderr.strip().splitlines()[-2:]))
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
