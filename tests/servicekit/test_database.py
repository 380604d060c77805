"""Opening a database: bad addresses are one clear line."""

from __future__ import annotations

import pytest

from servicekit.database import open_database
from servicekit.errors import StartupError


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "is not a database address"),
        ("mysql://root@127.0.0.1/x", "only sqlite and postgresql are supported"),
        ("sqlite:////proc/none/x.db", "cannot be made"),
        ("postgresql://u:hush@127.0.0.1:9/x", "cannot be opened"),
    ],
)
async def test_a_bad_address_is_one_line(url: str, says: str) -> None:
    """An address that cannot be used is one line with the setting's name and without a password."""
    with pytest.raises(StartupError) as error:
        await open_database(url, "ari_gateway:migrations", setting="SESSION_STORE_URL")
    line = str(error.value)
    assert line.startswith("SESSION_STORE_URL")
    assert says in line
    assert "\n" not in line
    assert "hush" not in line
