"""Enhancement: noise is taken out only where there is noise."""

from __future__ import annotations

import pytest

from speech.enhance import ENHANCED_RATE_HZ, enhance, filters_for, is_noisy
from speech_support.phone import hiss, reply


def test_a_clean_line_is_not_denoised() -> None:
    """On a clean line the filters leave the consonants alone."""
    clean = reply("no thank you", "en-us")
    assert not is_noisy(clean)
    assert "afftdn" not in filters_for(clean)


@pytest.mark.parametrize("snr_db", [5.0, 15.0])
def test_a_noisy_line_is_denoised(snr_db: float) -> None:
    """Noise that is heard in the pauses is taken out."""
    noisy = reply("no thank you", "en-us", snr_db=snr_db)
    assert is_noisy(noisy)
    assert "afftdn" in filters_for(noisy)


async def test_whatever_comes_in_leaves_at_sixteen_kilohertz() -> None:
    """The enhanced recording has the rate providers want, and its length."""
    plain = hiss(1.0, 500)
    enhanced = await enhance(plain, 10)
    assert enhanced.rate_hz == ENHANCED_RATE_HZ
    assert enhanced.length_s == pytest.approx(plain.length_s, abs=0.05)
