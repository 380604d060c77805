from __future__ import annotations

import re
from pathlib import Path

import pytest

from intent.campaign import Campaign, load_campaign, shipped_examples
from intent.errors import RuleDataError
from intent.meaning import Language, Meaning
from intent.rules import Rules, classify

DOCUMENT = Path(__file__).parents[2] / "docs" / "rules.md"


def _documented() -> Campaign:
    found = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return Campaign(found[1])


@pytest.fixture(scope="module")
def documented() -> Rules:
    """Compiles the rules with the example that docs/rules.md shows."""
    return Rules(_documented())


def _meaning(campaign: Campaign, text: str, language: Language = "fa") -> Meaning:
    return Rules(campaign).read(text, language).verdict.meaning


@pytest.mark.parametrize(
    ("language", "text", "meaning", "rule"),
    [
        ("fa", "تعیین سطح", Meaning.YES, "campaign.course_asked"),
        ("fa", "آیلتس بذارید", Meaning.YES, "campaign.course_asked"),
        ("fa", "جیگر قشنگم دوره‌تون رو بگید", Meaning.YES, "campaign.course_asked"),
        ("fa", "من کانون میرم", Meaning.NO, "campaign.rival"),
        ("en", "book me an ielts", Meaning.YES, "campaign.course_asked"),
        ("en", "no thanks", Meaning.NO, "en.no.not_so"),
    ],
)
def test_the_documented_example_does_what_it_says(
    documented: Rules, language: Language, text: str, meaning: Meaning, rule: str
) -> None:
    """The example in docs/rules.md compiles, and its rules decide and are named."""
    verdict = documented.read(text, language).verdict
    assert (verdict.meaning, verdict.evidence) == (meaning, rule)
    assert rule in verdict.matched


def test_the_documented_example_is_needed() -> None:
    """Without the example's rules the same replies are not understood so."""
    assert classify("تعیین سطح", "fa").meaning is Meaning.UNKNOWN
    assert classify("book me an ielts", "en").evidence != "campaign.course_asked"


def test_examples_reach_the_llm_in_their_language() -> None:
    """Examples of the file are kept with language and meaning; the shipped ones cover all five."""
    examples = _documented().examples
    assert [(shown.language, shown.meaning) for shown in examples] == [
        ("fa", Meaning.NO),
        ("fa", Meaning.YES),
    ]
    languages: tuple[Language, ...] = ("fa", "en")
    for language in languages:
        shown = {each.meaning for each in shipped_examples() if each.language == language}
        assert shown == set(Meaning)


@pytest.mark.parametrize(
    "override",
    [
        "rules: {all: {signal: wish, match: OVERRIDE}}",
        "fillers: زنگ نزنید پاک مزاحم نشید call not",
        "join: |-\n    زنگ نزنید\n    پاک کنید\n    مزاحم نشید\n    do not call me again",
        "words: {ASSENT: نزنید پاک نشید not}",
    ],
)
def test_no_campaign_can_override_an_opt_out(override: str) -> None:
    """Neither rules nor fillers, joins or words of a campaign make an opt-out unheard."""
    words = "words: {OVERRIDE: زنگ نزنید پاک کنید مزاحم نشید call not}"
    fields = override if override.startswith("words") else f"{words}\n  {override}"
    rules = Rules(Campaign(f"fa:\n  {fields}\nen:\n  {fields}\n"))
    for text in (
        "دیگه زنگ نزنید",
        "شماره منو پاک کنید",
        "بله ولی مزاحم نشید",
        "please do not call me again",
    ):
        assert rules.read(text, "fa").verdict.meaning is Meaning.DO_NOT_CALL


def test_a_campaign_overrides_everything_else() -> None:
    """A campaign's rule comes before the shipped ones: for it, a "cancel it" may be a yes."""
    assert classify("کنسلش کنید", "fa").meaning is Meaning.NO
    rule = "{signal: wish, match: کنسل*}"
    assert _meaning(Campaign(f"fa: {{rules: {{renewal: {rule}}}}}"), "کنسلش کنید") is Meaning.YES


def test_a_campaign_can_add_an_opt_out() -> None:
    """A campaign's own words for an opt-out are heard, also against a yes."""
    campaign = Campaign("en: {rules: {code: {signal: do_not_call, match: code ..1 eleven}}}")
    verdict = Rules(campaign).read("yes code eleven", "en").verdict
    assert (verdict.meaning, verdict.evidence) == (Meaning.DO_NOT_CALL, "campaign.code")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file: must be lines of `key: value`"),
        ("- a", "the file: must be lines"),
        ("fa: [", "line 1: no YAML"),
        ("\x00", "no YAML"),
        ("de: {}", "de: no such key"),
        ("fa: {words: {course: آیلتس}}", "fa, words, course: "),
        ("fa: {rules: {Course: {signal: wish, match: X}}}", "fa, rules, Course: "),
        ("fa: {rules: {x: {signal: maybe, match: X}}}", "fa, rules, x, signal: "),
        ("fa: {rules: {x: {signal: wish}}}", "fa, rules, x, match: is missing"),
        ("fa: {examples: [{text: x, intent: maybe}]}", "fa, examples, 0, intent: "),
        (
            "fa: {rules: {x: {signal: wish, match: COURSE}}}",
            "fa, rule campaign.x: pattern 'COURSE'",
        ),
        (
            "fa: {rules: {x: {signal: wish, match: '.. ..'}}}",
            "fa, rule campaign.x: pattern '.. ..'",
        ),
        ("fa: {rules: {x: {signal: wish, match: 'a .. .. .. .. b'}}}", "its gaps are too many"),
        ("fa: {rules: {x: {signal: wish, match: 'a (b|c)+'}}}", "pattern 'a (b|c)+': '"),
        (
            "fa: {rules: {x: {signal: wish, match: a, avoid: NONE}}}",
            "fa, rule campaign.x: no words",
        ),
        ("fa: {words: {COURSE: '*'}}", "fa, class COURSE: '*' is not one word"),
    ],
)
def test_a_bad_file_is_one_line_that_names_the_place(text: str, said: str) -> None:
    """Whatever is wrong with a file, one line says what and where."""
    with pytest.raises(RuleDataError) as caught:
        Rules(Campaign(text))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"#" * 1_000_001])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes | None) -> None:
    """A missing file, one that is no text and one that is too large are refused in one line."""
    path = tmp_path / "campaign.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RuleDataError, match="the file"):
        load_campaign(path)
