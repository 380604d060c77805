"""The compose project of the demo, on its own, with the settings of a test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.paths import REPOSITORY

OURS = ("ari-gateway", "dialer", "speech", "intent", "reporter", "asterisk")
"""The services whose images are this project's own and go into production."""

_NAME = "salehi-test"
_LONGEST_S = 900


@dataclass(frozen=True)
class Project:
    """A project; `env` holds its settings and the way to the engine."""

    env: dict[str, str]

    def compose(self, *arguments: str) -> str:
        """Run `docker compose`; give what it printed on stdout."""
        done = self._run(arguments)
        if done.returncode != 0:
            said = self._run(("logs", "--tail", "5")).stdout
            raise AssertionError(f"docker compose {arguments}: {done.stdout}{done.stderr}{said}")
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """Run `docker compose`, which must fail; give what it printed."""
        done = self._run(arguments)
        assert done.returncode != 0, arguments
        return done.stdout + done.stderr

    def _run(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        options = ("--project-name", _NAME, "--env-file", "deploy/docker/demo.env")
        return subprocess.run(
            ["docker", "compose", *options, *arguments],
            cwd=REPOSITORY,
            env=self.env,
            check=False,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
        )

    def inspect(self, service: str) -> dict[str, Any]:
        """Tell everything about the container of a service."""
        container = self.compose("ps", "--all", "--quiet", service).strip()
        text = subprocess.check_output(["docker", "inspect", container], env=self.env, text=True)
        found: dict[str, Any] = json.loads(text)[0]
        return found

    def address(self, service: str, port: int) -> str:
        """Give the address at which this machine reaches a service."""
        networks = self.inspect(service)["NetworkSettings"]["Networks"]
        return f"{networks[f'{_NAME}_engine']['IPAddress']}:{port}"

    def kill(self, service: str) -> None:
        """Kill the main process of a container from outside, as the kernel does when memory is out.

        `docker kill` would count as stopped by hand, and restart policies leave such ones alone.
        """
        container = self.inspect(service)
        pid = container["State"]["Pid"]
        assert container["Id"] in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        os.kill(pid, signal.SIGKILL)

    def is_well(self, service: str) -> bool:
        """Whether the container runs and its check says so."""
        state = self.inspect(service)["State"]
        return bool(state["Running"]) and state["Health"]["Status"] == "healthy"

    def restarts(self, service: str) -> int:
        """Count how often the engine started the container again."""
        return int(self.inspect(service)["RestartCount"])


@contextmanager
def running_project(engine: dict[str, str], **settings: str) -> Iterator[Project]:
    """Build the images, start everything the demo needs, and leave nothing of it behind."""
    project = Project({**engine, **settings})
    project.compose("build")
    try:
        project.compose("up", "--detach", "--wait", "dialer", "phones", "fakes")
        yield project
    finally:
        project.compose("--profile", "*", "down", "--volumes", "--timeout", "5")
