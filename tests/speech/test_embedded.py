"""The embedded engine on speech through a telephone band, voices it was and was not tuned on."""

from __future__ import annotations

import pytest

from intent.meaning import Meaning
from intent.rules import classify
from speech.audio import Recording
from speech.enhance import enhance
from speech.stt.recogniser import CONSENT_MARGIN, Heard, Recogniser, Span, judge
from speech_support.phone import hiss, reply

YES = ("yes", "yes please", "sure", "okay", "go ahead", "of course", "yes i am interested")
NO = ("no", "no thank you", "not interested", "i don't have time", "no i'm busy")
INSISTING = ("yes yes yes", "yes please yes please", "yeah yeah yeah", "yes yes i am interested")
REFUSING = ("no no no", "no no no thank you")
NUMBER = ("where did you get my number", "how did you get this number", "who gave you my number")
OPT_OUT = ("do not call me again", "stop calling me", "remove my number from your list")
FOREIGN = (
    "the weather is nice",
    "my daughter goes to school on monday",
    "seventeen green bottles on the wall",
    "can i have a pizza with mushrooms",
    "the train leaves at seven thirty",
    "she bought a red dress in the market",
)
UNSEEN_VOICES = ("en-us+Annie", "en-us-nyc+Andy", "en-gb-x-rp+f2", "en-gb-scotland+m5")
VOICES = ("en-us", "en-us+m3", "en-us+f4", "en-us+f1", "en-gb")


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    """One recogniser for all tests here: loading it takes a quarter of a second."""
    return Recogniser("en")


async def _heard(recogniser: Recogniser, recording: Recording) -> str:
    heard = recogniser.hear(await enhance(recording, 10.0))
    return heard.text if heard.accepted else ""


def _kind(text: str) -> str:
    """Name the kind of a sentence, by words that cannot be in another kind's."""
    words = set(text.split())
    if not words:
        return "not understood"
    if "number" in words and words & {"where", "how", "who"}:
        return "number"
    if words & {"stop", "remove", "delete", "never"} or ({"call", "again"} <= words):
        return "opt out"
    if words & {"no", "nope", "nah", "not", "don't", "busy", "later"} and "why" not in words:
        return "no"
    neither = {"what", "who", "hello", "hold", "moment", "how", "wrong", "hear", "robot", "good"}
    return "neither" if words & neither and "sounds" not in words else "yes"


async def _score(
    recogniser: Recogniser, kind: str, texts: tuple[str, ...], snr_db: float | None
) -> tuple[int, int, int]:
    """Count right kinds, wrong answers and all; each text is said by another voice."""
    right = wrong = total = 0
    for number, text in enumerate(texts):
        said = reply(text, VOICES[number % len(VOICES)], snr_db=snr_db)
        found = _kind(await _heard(recogniser, said))
        right += found == kind
        wrong += found not in {kind, "not understood", "neither"}
        total += 1
    return right, wrong, total


@pytest.mark.parametrize(
    ("kind", "texts", "least"),
    [
        ("yes", YES, 0.75),
        ("no", NO, 0.75),
        ("number", NUMBER, 0.8),
        ("opt out", OPT_OUT, 0.8),
        pytest.param("yes", INSISTING, 0.75, id="yes over and over"),
        pytest.param("no", REFUSING, 0.75, id="no over and over"),
    ],
)
async def test_replies_are_understood(
    recogniser: Recogniser, kind: str, texts: tuple[str, ...], least: float
) -> None:
    """On a clean line most replies are heard for what they are, and few for something else."""
    right, wrong, total = await _score(recogniser, kind, texts, None)
    assert right / total >= least
    assert wrong / total <= 0.1


@pytest.mark.parametrize("voice", ["en-us+m3", "en-us+f4", "en-us+m7", "en-us+f1"])
@pytest.mark.parametrize(
    ("text", "kind"),
    [("yes please", "yes"), ("no thank you", "no"), ("where did you get my number", "number")],
)
async def test_the_three_plain_replies_never_fail(
    recogniser: Recogniser, text: str, kind: str, voice: str
) -> None:
    """The replies a demonstration counts on are understood in each of its voices."""
    assert _kind(await _heard(recogniser, reply(text, voice, words_per_minute=140))) == kind


async def test_noise_makes_deaf_but_not_wrong(recogniser: Recogniser) -> None:
    """At 15 dB fewer replies are heard, and what is heard is still right."""
    right, wrong, total = await _score(recogniser, "number", NUMBER, 15.0)
    assert right / total >= 0.6
    assert wrong <= 1


@pytest.mark.parametrize("snr_db", [None, 10.0])
async def test_other_speech_is_not_forced_into_an_answer(
    recogniser: Recogniser, snr_db: float | None
) -> None:
    """Of six sentences that answer nothing, one at most is taken for an answer, none for a yes."""
    texts = [
        await _heard(recogniser, reply(text, UNSEEN_VOICES[number % 4], snr_db=snr_db))
        for number, text in enumerate(FOREIGN)
    ]
    assert sum(_kind(text) not in {"not understood", "neither"} for text in texts) <= 1
    assert [text for text in texts if classify(text, "en").meaning is Meaning.YES] == []


def test_a_yes_must_fit_better_than_a_no(recogniser: Recogniser) -> None:
    """The same fit that is enough for a no is not enough for what connects a person."""
    assert recogniser.hear(reply("yes please")).margin == CONSENT_MARGIN > 0
    assert recogniser.hear(reply("no thank you")).margin == 0
    fit = judge([Span("anything", 50, excess=-2.6, speech_frames=50)])
    assert fit is not None
    assert fit.score > 0
    assert Heard("no", fit).accepted
    assert not Heard("yes", fit, margin=CONSENT_MARGIN).accepted


@pytest.mark.parametrize("length_s", [0.0, 0.01, 0.2, 3.0])
def test_noise_is_no_sentence(recogniser: Recogniser, length_s: float) -> None:
    """Noise of any length, none included, is neither understood nor a crash."""
    assert not recogniser.hear(hiss(length_s, 1500)).accepted
