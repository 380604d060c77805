"""The end of it all: the last test of this folder, for it stops the project."""

from __future__ import annotations

import subprocess

from compose_support.project import OURS, Project


def test_services_end_when_told_to(project: Project) -> None:
    """Told to stop, an idle service ends by itself within five seconds, with status 0."""
    for service in OURS:
        container = project.inspect(service)["Id"]
        stop = ["docker", "stop", "--time", "5", container]
        subprocess.run(stop, env=project.env, check=True, capture_output=True, timeout=60)
        assert project.inspect(service)["State"]["ExitCode"] == 0
