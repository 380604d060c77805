"""Logs: personal data is masked wherever it turns up."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from servicekit.errors import StartupError
from servicekit.logging import configure_logging
from servicekit.pii import mask_number, mask_text
from servicekit.settings import ServiceSettings
from servicekit.tracing import going_on


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def _logged(directory: Path) -> list[dict[str, object]]:
    lines = (directory / "app.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_numbers_and_words_are_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A number in a message, a `_pii` field and an exception's text are masked in both outputs."""
    configure_logging("dialer", ServiceSettings(log_dir=tmp_path))
    log = structlog.get_logger("test")
    try:
        raise ValueError("cannot call +989121234567")
    except ValueError:
        log.exception("call to 09121234567 failed", heard_pii="yes please", to_pii="09121234567")
    text = (tmp_path / "app.log").read_text(encoding="utf-8") + capsys.readouterr().out
    assert "09121234567" not in text
    assert "989121234567" not in text
    assert "yes please" not in text
    assert _logged(tmp_path)[0]["to_pii"] == "0912***4567"


def test_unmasked_only_when_asked_for(tmp_path: Path) -> None:
    """LOG_PII=true writes personal data as it is."""
    configure_logging("dialer", ServiceSettings(log_dir=tmp_path, log_pii=True))
    structlog.get_logger("test").info("called", to_pii="09121234567")
    assert _logged(tmp_path)[0]["to_pii"] == "09121234567"


def test_the_screen_shows_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception is one line on the screen and a whole story in the file."""
    configure_logging("dialer", ServiceSettings(log_dir=tmp_path))
    try:
        raise ValueError("odd")
    except ValueError:
        structlog.get_logger("test").exception("it failed")
    shown = capsys.readouterr().out
    assert "Traceback" not in shown
    assert "ValueError: odd" in shown
    assert "Traceback" in str(_logged(tmp_path)[0]["exception"])


def test_lines_lead_to_attempt_and_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within an attempt's trace each line names attempt, trace and span; the next line does not."""
    configure_logging("dialer", ServiceSettings(log_dir=tmp_path))
    log = structlog.get_logger("test")
    attempt_id = "3f2c1b5e-0c1d-4e2f-8a3b-5d6e7f8a9b0c"
    with going_on("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", attempt_id):
        log.info("within")
        logging.getLogger("library").warning("within, too")
    log.info("after")
    *within, after = _logged(tmp_path)
    for line in within:
        assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
        assert line["span_id"] == "b7ad6b7169203331"
        assert line["attempt_id"] == attempt_id
    assert len(within) == 2
    assert not after.keys() & {"trace_id", "span_id", "attempt_id"}
    assert "b7ad6b7169203331" not in capsys.readouterr().out


def test_a_directory_that_cannot_be_written() -> None:
    """An unusable LOG_DIR is one clear line."""
    with pytest.raises(StartupError, match="LOG_DIR=/proc/none cannot be written"):
        configure_logging("dialer", ServiceSettings(log_dir=Path("/proc/none")))


def test_ids_are_left_alone() -> None:
    """UUIDs, decimals and times are not mistaken for phone numbers."""
    text = "attempt 12345678-1234-1234-1234-123456789012 took 1234567890.123 s"
    assert mask_text(text) == text


@given(
    st.from_regex(r"\+?[0-9]{10,15}", fullmatch=True), st.sampled_from(["{}", "to {} now", "({})"])
)
def test_no_number_survives(number: str, sentence: str) -> None:
    """Whatever the sentence around it, a phone number is never written out."""
    assert number not in mask_text(sentence.format(number))
    assert number not in mask_number(number)
