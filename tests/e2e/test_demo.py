"""The demo, as a newcomer runs it."""

from __future__ import annotations

from e2e_support.demo import DemoRun
from lab.behaviours import PHRASES
from lab.demo.cast import CAST


async def test_the_demo_is_right_and_discreet(demo: DemoRun, lab_env: object) -> None:
    """All twelve contacts get their right result; no number and no word spoken is in any log."""
    assert demo.status == 0, demo.shown
    assert "12 of 12 contacts" in demo.shown
    assert "a call ended" in demo.logged
    for contact in CAST:
        assert contact.number not in demo.shown + demo.logged
        assert contact.number.removeprefix("0") not in demo.shown + demo.logged
    for phrase in PHRASES:
        assert phrase not in demo.logged
