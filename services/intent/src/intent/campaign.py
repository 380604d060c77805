"""What a campaign adds to the shipped rules: words, patterns and examples, read from a YAML file.

The format is described in docs/rules.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from intent.errors import RuleDataError
from intent.lexicon import FILLER
from intent.meaning import Language, Meaning
from intent.rule_book import CAMPAIGN
from intent.weighing import Signal

_MAX_FILE_BYTES = 1_000_000
_PLAIN_WORDS = {
    "model_type": "must be lines of `key: value`",
    "dict_type": "must be lines of `key: value`",
    "list_type": "must be a list (`- …`)",
    "string_type": "must be text",
    "extra_forbidden": "no such key",
    "missing": "is missing",
}

_ClassName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z_]*$")]
_RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]*$")]
_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


@dataclass(frozen=True, slots=True)
class Example:
    """One reply and what it means, shown to the LLM."""

    language: Language
    text: str
    meaning: Meaning


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _RuleForm(_Form):
    signal: Signal
    match: _Words
    avoid: str = ""


class _ExampleForm(_Form):
    text: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    intent: Meaning


class _LanguageForm(_Form):
    words: dict[_ClassName, _Words] = Field(default_factory=dict)
    fillers: str = ""
    join: str = ""
    rules: dict[_RuleName, _RuleForm] = Field(default_factory=dict)
    examples: Annotated[list[_ExampleForm], Field(max_length=50)] = Field(default_factory=list)


class _FileForm(_Form):
    fa: _LanguageForm | None = None
    en: _LanguageForm | None = None

    def by_language(self) -> dict[Language, _LanguageForm]:
        forms: dict[Language, _LanguageForm | None] = {"fa": self.fa, "en": self.en}
        return {language: form for language, form in forms.items() if form is not None}


class Campaign:
    """The contents of one such file, checked for their form."""

    def __init__(self, text: str) -> None:
        """Reads the YAML in `text`.

        Raises:
            RuleDataError: it has not the form it should; one line that names the place.
        """
        try:
            # Plain strings throughout: to YAML, the words "yes", "no" and "on" would be booleans.
            parsed = yaml.BaseLoader(text).get_single_data()
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise RuleDataError(f"line {line}: no YAML ({error.problem})") from error
        except (yaml.YAMLError, RecursionError) as error:
            raise RuleDataError("no YAML") from error
        try:
            self._forms = _FileForm.model_validate(parsed).by_language()
        except ValidationError as error:
            raise RuleDataError(_explain(error)) from error

    @property
    def languages(self) -> tuple[Language, ...]:
        """The languages it adds something to."""
        return tuple(self._forms)

    @property
    def examples(self) -> tuple[Example, ...]:
        """Its examples for the LLM."""
        return tuple(
            Example(language, example.text, example.intent)
            for language, form in self._forms.items()
            for example in form.examples
        )

    def extend(self, source: Mapping[str, Any], language: Language) -> dict[str, Any]:
        """Returns a rule file with this campaign's words added and its rules in front."""
        form = self._forms[language]
        words = dict(source["words"])
        for name, entries in {**form.words, FILLER: form.fillers}.items():
            words[name] = f"{words.get(name, '')} {entries}"
        rules = {
            f"{CAMPAIGN}{name}": {"signal": rule.signal, "match": rule.match, "avoid": rule.avoid}
            for name, rule in form.rules.items()
        }
        return {
            **source,
            "join": f"{source['join']}\n{form.join}",
            "words": words,
            "rules": {**rules, **source["rules"]},
        }


def load_campaign(path: Path) -> Campaign:
    """Reads a campaign's file.

    Raises:
        RuleDataError: it cannot be read or has not the form it should; one line.
    """
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise RuleDataError(f"the file is larger than {_MAX_FILE_BYTES} bytes")
        return Campaign(path.read_text("utf-8"))
    except OSError as error:
        raise RuleDataError(f"the file cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise RuleDataError("the file is not UTF-8 text") from error


def shipped_examples() -> tuple[Example, ...]:
    """Returns the examples every LLM is shown."""
    text = resources.files("intent").joinpath("data/examples.yaml").read_text("utf-8")
    return Campaign(text).examples


def _explain(error: ValidationError) -> str:
    """Says in one line what is wrong first, and where."""
    first = error.errors()[0]
    place = ", ".join(str(part) for part in first["loc"] if part != "[key]")
    return f"{place or 'the file'}: {_PLAIN_WORDS.get(first['type'], first['msg'])}"
