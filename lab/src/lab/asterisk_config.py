"""Renders deploy/asterisk/*.conf for the lab's Asterisk."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from lab import addresses
from lab.errors import LabError
from lab.paths import ASTERISK_DIR_INSIDE, LabPaths

ARI_APP_NAME = "salehi"
ARI_USERNAME = "salehi"
TRUNK_NAME = "trunk"
OPERATORS_NAME = "operators"

_QUALIFY_S = 3
_PLACEHOLDER = re.compile(r"@([A-Z][A-Z_]*)@")


def placeholders(*, ari_password: str, qualify: bool) -> dict[str, str]:
    """Give the lab's value of every placeholder in deploy/asterisk.

    `qualify` is whether Asterisk asks the trunk and the operators if they are there. With a
    network of the user's own it must not: a SIP agent that ignores OPTIONS would get no call.
    """
    first_rtp, last_rtp = addresses.ASTERISK_RTP
    return {
        "ASTERISK_DIR": ASTERISK_DIR_INSIDE,
        "HTTP_BIND": addresses.LOOPBACK,
        "HTTP_PORT": str(addresses.ARI.number),
        "ARI_APP_NAME": ARI_APP_NAME,
        "ARI_USERNAME": ARI_USERNAME,
        "ARI_PASSWORD": ari_password,
        "SIP_BIND": addresses.LOOPBACK,
        "SIP_PORT": str(addresses.SIP.number),
        "RTP_START": str(first_rtp),
        "RTP_END": str(last_rtp),
        "TRUNK_ADDRESS": addresses.TRUNK.address,
        "TRUNK_HOST": addresses.LOOPBACK,
        "OPERATORS_ADDRESS": addresses.OPERATORS.address,
        "QUALIFY_S": str(_QUALIFY_S if qualify else 0),
    }


def render(text: str, values: Mapping[str, str], *, name: str) -> str:
    """Put the values in place; raises LabError naming a placeholder that has none."""

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise LabError(f"{name}: the placeholder @{match[1]}@ has no value")
        return values[match[1]]

    return _PLACEHOLDER.sub(value_of, text)


def render_all(templates: Path, values: Mapping[str, str]) -> dict[str, str]:
    """Render every *.conf in `templates`; raises LabError when there is none."""
    rendered = {
        file.name: render(file.read_text(), values, name=file.name)
        for file in sorted(templates.glob("*.conf"))
    }
    if not rendered:
        raise LabError(f"no Asterisk configuration in {templates}: run from a complete checkout")
    return rendered


def ari_password(paths: LabPaths) -> str:
    """Give this lab's ARI password, made at the first call.

    Raises LabError when the lab is another user's.
    """
    try:
        if not paths.password_file.exists():
            paths.base.mkdir(parents=True, exist_ok=True)
            paths.password_file.touch(mode=0o600)
            paths.password_file.write_text(secrets.token_urlsafe(18) + "\n")
        return paths.password_file.read_text().strip()
    except PermissionError as error:
        raise LabError(f"{paths.base} belongs to another user: run this as that user") from error
