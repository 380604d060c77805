"""What a user of the command line sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.__main__ import EXIT_REFUSED, app


def test_down_on_a_lab_that_never_ran(tmp_path: Path) -> None:
    """Stopping nothing is no error, and says so."""
    result = CliRunner().invoke(app, ["down", "--dir", str(tmp_path / ".lab")])
    assert result.exit_code == 0
    assert result.output.strip() == "nothing was running"


@pytest.mark.parametrize("number", ["09120000101&PJSIP/1", "", "۰۹۱۲۰۰۰۰۱۰۱", "1" * 16])
def test_a_bad_number_is_one_line(tmp_path: Path, number: str) -> None:
    """What is no number is refused before anything is called, naming the option."""
    result = CliRunner().invoke(app, ["call", "--dir", str(tmp_path), "--to", number])
    assert result.exit_code == EXIT_REFUSED
    assert result.stderr.splitlines() == ["lab: --to must be 2 to 15 digits"]
