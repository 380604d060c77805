"""The demo of the compose project, as a newcomer runs it."""

from __future__ import annotations

import time

import httpx

from compose_support.project import OURS, Project
from deploy_support.registries import MODULES
from lab.behaviours import PHRASES
from lab.demo.cast import CAST


def test_the_demo_is_right_and_discreet(project: Project) -> None:
    """All twelve contacts get their right result, once; nobody's number or words are in a log."""
    shown = project.compose("run", "--rm", "--no-TTY", "demo")
    assert f"{len(CAST)} of {len(CAST)} contacts" in shown
    assert f"The panel was told of {len(CAST)} contacts exactly once" in shown
    logged = project.compose("logs", "--no-color", *OURS)
    logged += project.compose("exec", "dialer", "cat", "/var/log/salehi/app.log")
    logged += project.compose("exec", "asterisk", "cat", "/srv/asterisk/log/messages")
    assert "a call ended" in logged
    for contact in CAST:
        assert contact.number.removeprefix("0") not in shown + logged
    for phrase in PHRASES:
        assert phrase not in logged


def test_containers_have_no_rights_and_change_nothing(project: Project) -> None:
    """Services run as 10001 without capabilities on a root that cannot be written to."""
    for service in OURS:
        status = project.compose("exec", service, "cat", "/proc/1/status")
        told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert told["Uid"].split() == ["10001"] * 4
        assert int(told["CapBnd"], 16) == int(told["CapEff"], 16) == 0
        assert told["NoNewPrivs"] == "1"
        for path in ("/opt/new", "/usr/new", "/etc/new"):
            said = project.compose("exec", service, "sh", "-c", f"touch {path} 2>&1 || true")
            assert "Read-only file system" in said


def test_images_bring_nothing_to_build_with(project: Project) -> None:
    """No compiler and no installer is in an image, and its labels say what it is."""
    for service in OURS:
        found = project.compose(
            *("exec", service, "sh", "-c", "command -v pip uv gcc cc make ld git || true")
        )
        assert not found
        labels = project.inspect(service)["Config"]["Labels"]
        assert labels["org.opencontainers.image.title"] == f"salehi {service}"
        assert labels["org.opencontainers.image.version"]


def test_an_asterisk_without_settings_says_what_is_missing(project: Project) -> None:
    """Without a setting, or with one that would smuggle in another, it refuses in one line."""
    given = {"ARI_PASSWORD": "x", "OPERATORS_ADDRESS": "a:5060"}
    for told, refusal in (
        ({"TRUNK_ADDRESS": ""}, "TRUNK_ADDRESS is not set"),
        ({"TRUNK_ADDRESS": "a:5060", "ARI_PASSWORD": ""}, "ARI_PASSWORD is empty"),
        ({"TRUNK_ADDRESS": "a:5060", "QUALIFY_S": "3\nx=1"}, "QUALIFY_S is not allowed"),
    ):
        settings = [
            word for key, value in (given | told).items() for word in ("-e", f"{key}={value}")
        ]
        run = project.refused("run", "--rm", "--no-TTY", "--no-deps", *settings, "asterisk")
        said = [line for line in run.splitlines() if line.startswith("asterisk: ")]
        assert len(said) == 1
        assert refusal in said[0]


def test_prometheus_reads_every_service(project: Project) -> None:
    """The configuration that comes along finds all five services."""
    project.compose("up", "--detach", "--wait", "prometheus")

    def up() -> list[str]:
        address = project.address("prometheus", 9090)
        found = httpx.get(f"http://{address}/api/v1/targets", trust_env=False, timeout=10).json()
        targets = found["data"]["activeTargets"]
        return [each["labels"]["job"] for each in targets if each["health"] == "up"]

    deadline_s = time.monotonic() + 60
    while len(up()) < len(MODULES) and time.monotonic() < deadline_s:
        time.sleep(0.5)
    assert sorted(up()) == sorted(MODULES)
