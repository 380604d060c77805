"""The file that tells services how to reach the running lab."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab import addresses
from lab.asterisk_config import ARI_APP_NAME, ARI_USERNAME, OPERATORS_NAME, TRUNK_NAME
from lab.paths import LabPaths


def lab_settings(paths: LabPaths, ari_password: str) -> dict[str, str]:
    """Give the settings a service needs for this lab, by the names of `.env.example`."""
    return {
        "ARI_BASE_URL": f"http://{addresses.ARI.address}/ari",
        "ARI_WS_URL": f"ws://{addresses.ARI.address}/ari/events",
        "ARI_APP_NAME": ARI_APP_NAME,
        "ARI_USERNAME": ARI_USERNAME,
        "ARI_PASSWORD": ari_password,
        "OUTBOUND_TRUNK": TRUNK_NAME,
        "OPERATOR_TRUNK": OPERATORS_NAME,
        "AST_SOUND_DIR": str(paths.sound_dir),
    }


def render(settings: Mapping[str, str]) -> str:
    """Render in the syntax of `.env`; a value that would not survive unquoted is quoted."""
    lines = ["# Written by `make lab`; made anew each time."]
    for name, value in settings.items():
        plain = value.isascii() and not set(value) & set(" \t#'\"\\$")
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f"{name}={value}" if plain else f'{name}="{quoted}"')
    return "\n".join(lines) + "\n"


def write(path: Path, settings: Mapping[str, str]) -> None:
    """Write the file so that only its owner can read it: it holds the ARI password."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(render(settings))
