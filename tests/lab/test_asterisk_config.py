"""Rendering the Asterisk configuration that the lab and the image share."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import asterisk_config
from lab.errors import LabError
from lab.paths import REPOSITORY, LabPaths

TEMPLATES = REPOSITORY / "deploy/asterisk"


def rendered(*, qualify: bool = True) -> dict[str, str]:
    """Render the real templates as the lab does."""
    values = asterisk_config.placeholders(ari_password="secret", qualify=qualify)
    return asterisk_config.render_all(TEMPLATES, values)


def test_every_placeholder_has_a_value() -> None:
    """Nothing of the form @NAME@ is left in any file."""
    for name, text in rendered().items():
        assert not re.search(r"@[A-Z_]+@", text), name


def test_every_listener_is_on_loopback() -> None:
    """Each bind address in the lab's configuration is 127.0.0.1."""
    bound = re.findall(
        r"^bind(?:addr)?\s*=\s*([\d.]+)", "\n".join(rendered().values()), re.MULTILINE
    )
    assert bound == ["127.0.0.1", "127.0.0.1"]


def test_dangerous_functions_are_refused() -> None:
    """The shell and the file system are out of reach of ARI."""
    assert re.search(r"^live_dangerously\s*=\s*no$", rendered()["asterisk.conf"], re.MULTILINE)


def test_peers_are_asked_only_when_the_network_is_ours() -> None:
    """With a network of the user's own, a SIP agent that ignores OPTIONS still gets calls."""
    asks = re.compile(r"^qualify_frequency = (\d+)$", re.MULTILINE)
    assert asks.findall(rendered(qualify=True)["pjsip.conf"]) == ["3", "3"]
    assert asks.findall(rendered(qualify=False)["pjsip.conf"]) == ["0", "0"]


def test_placeholder_without_value_is_named() -> None:
    """A template that asks for something unknown is refused with its name."""
    with pytest.raises(LabError, match=r"pjsip\.conf: the placeholder @WHAT@"):
        asterisk_config.render("a = @WHAT@", {}, name="pjsip.conf")


def test_dial_strings_are_not_placeholders() -> None:
    """`@trunk` in a comment or a dial string stays as it is."""
    assert asterisk_config.render("PJSIP/1@trunk @x@", {}, name="x") == "PJSIP/1@trunk @x@"


def test_missing_templates_are_said(tmp_path: Path) -> None:
    """An incomplete checkout is named instead of starting an empty Asterisk."""
    with pytest.raises(LabError, match="complete checkout"):
        asterisk_config.render_all(tmp_path, {})


def test_password_is_made_once_and_private(tmp_path: Path) -> None:
    """Each lab keeps its own random password, readable by its owner only."""
    paths = LabPaths(tmp_path / "lab")
    first = asterisk_config.ari_password(paths)
    assert asterisk_config.ari_password(paths) == first
    assert len(first) >= 20
    assert paths.password_file.stat().st_mode & 0o777 == 0o600
    assert asterisk_config.ari_password(LabPaths(tmp_path / "other")) != first
