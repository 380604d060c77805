"""Decides by rule what a short reply means.

The rules themselves are data: those shipped in `data/rules_*.yaml`, and a campaign's own on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, get_args

import yaml

from intent.campaign import Campaign
from intent.errors import RuleDataError
from intent.meaning import Language, Meaning, Verdict, excerpt
from intent.normalise import language_of, normalise
from intent.rule_book import RuleBook


@dataclass(frozen=True, slots=True)
class Reading:
    """One reply as the rules read it.

    Attributes:
        text: what was read of it, as spoken.
        words: the same, normalised.
        language: whose rules were applied.
        verdict: what they make of it.
    """

    text: str
    words: str
    language: Language
    verdict: Verdict


class Rules:
    """The rules of every language, with what a campaign adds."""

    def __init__(self, campaign: Campaign | None = None) -> None:
        """Compiles them.

        Raises:
            RuleDataError: a rule of the campaign cannot be used; names language, rule and pattern.
        """
        languages: tuple[Language, ...] = get_args(Language)
        self._shipped = {language: rule_book(language) for language in languages}
        self._extended: dict[Language, RuleBook] = {}
        if campaign is not None:
            for language in campaign.languages:
                self._extended[language] = _extended_book(campaign, language)

    def read(self, text: str, spoken: Language) -> Reading:
        """Decides what `text`, spoken in a call in `spoken`, means. Takes any text."""
        read = excerpt(text).strip()
        words = normalise(read)
        language = language_of(words, spoken)
        verdict = self._shipped[language].classify(words)
        extended = self._extended.get(language)
        # An opt-out the shipped rules hear is final: no campaign can word it away.
        if extended is not None and verdict.meaning is not Meaning.DO_NOT_CALL:
            verdict = extended.classify(words)
        return Reading(read, words, language, verdict)


def classify(text: str, language: Language) -> Verdict:
    """Decides what `text`, spoken in a call in `language`, means by the shipped rules alone."""
    return _shipped_rules().read(text, language).verdict


@cache
def rule_book(language: Language) -> RuleBook:
    """Returns the shipped rules of a language, compiled once per process."""
    return RuleBook(language, _shipped_source(language))


def _extended_book(campaign: Campaign, language: Language) -> RuleBook:
    try:
        return RuleBook(language, campaign.extend(_shipped_source(language), language))
    except RuleDataError as error:
        raise RuleDataError(f"{language}, {error}") from error


@cache
def _shipped_rules() -> Rules:
    return Rules()


def _shipped_source(language: Language) -> dict[str, Any]:
    text = resources.files("intent").joinpath(f"data/rules_{language}.yaml").read_text("utf-8")
    # Plain strings throughout: to YAML, the words "yes", "no" and "on" would be booleans.
    source: dict[str, Any] = yaml.BaseLoader(text).get_single_data()
    return source
