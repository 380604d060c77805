"""Makes different spellings of the same words equal, before any rule looks at them."""

from __future__ import annotations

import re
import unicodedata

from intent.meaning import Language, excerpt

_ZWNJ = "\u200c"
_APOSTROPHES = "\u2018\u2019\u02bc\u0060\u00b4\uff07"

# One letter, several code points: Arabic keyboards, hamza carriers and the madda are folded.
_LETTERS = {
    "ي": "ی",
    "ى": "ی",
    "ئ": "ی",
    "ې": "ی",
    "ك": "ک",
    "ة": "ه",
    "ۀ": "ه",
    "ە": "ه",
    "ہ": "ه",
    "ھ": "ه",
    "ؤ": "و",
    "إ": "ا",
    "أ": "ا",
    "ٱ": "ا",
    "آ": "ا",
    "ء": "",
    "ـ": "",
}
_DIGITS = {
    digit: str(value)
    for digits in ("۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩")
    for value, digit in enumerate(digits)
}
# Joiners inside words vanish: the two parts are one word for the rules.
_INVISIBLE = dict.fromkeys([_ZWNJ, "\u200d", "\u200e", "\u200f", "\u00ad", "\ufeff", "\u2060"], "")
_FOLD = str.maketrans(_LETTERS | _DIGITS | _INVISIBLE | dict.fromkeys(_APOSTROPHES, "'"))

_MARKS = re.compile(r"[\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed]")
_NOT_WORD = re.compile(r"[^\w']|_")
_LONG_RUN = re.compile(r"(\w)\1{2,}")
_DOUBLE = re.compile(r"(\w)\1+")
_VERB_PREFIX = re.compile(r"\b(ن?می) (?=\w)")
_SHORTEST_STEM = 4
_SPOKEN = (("واه", "وا"), ("وان", "ون"), ("ان", "ون"))
_PLURAL_YOU = re.compile("ید$")
_ENDING = re.compile(r"(?<=[\u0600-\u06ff]{4})(?:مون?|شون?|تون?|[مش]|یم|ه)$")
_PERSIAN = re.compile(r"[\u0600-\u06ff]")
_LATIN = re.compile(r"[a-z]")


def normalise(text: str) -> str:
    """Returns the words of `text`, folded and separated by single blanks.

    Never raises, whatever Unicode comes in.
    """
    folded = text.lower() if text.isascii() else _fold(text)
    words = " ".join(_NOT_WORD.sub(" ", folded).split())
    words = _LONG_RUN.sub(r"\1\1", words)
    if "می " in words:
        words = _VERB_PREFIX.sub(r"\1", words)
    return words


def is_plain(word: str) -> bool:
    """Tells whether `word` is one word and holds nothing that would be dropped from a reply."""
    return bool(word) and not _NOT_WORD.search(_fold(word))


def without_doubles(word: str) -> str:
    """Returns the word with each run of one letter written once: `yess` is `yes`."""
    return _DOUBLE.sub(r"\1", word)


def colloquial(word: str) -> str:
    """Returns one form for the written and the spoken shape of a Persian word.

    "می‌توانید" and "میتونین" are one, "بدانم" and "بدونم" too. The form itself is no word.
    """
    if len(word) < _SHORTEST_STEM:
        return word
    for written, spoken in _SPOKEN:
        word = word.replace(written, spoken)
    return _PLURAL_YOU.sub("ین", word)


def without_ending(word: str) -> str:
    """Returns the word without a Persian ending for "is", "am", "my" or "your ... (object)".

    "مناسبه" is "مناسب". Short words stay as they are: "نهم" is no "نه".
    """
    return _ENDING.sub("", word)


def language_of(words: str, spoken: Language) -> Language:
    """Returns the language whose script the words are in; `spoken` where that is not clear.

    Transcribers sometimes answer in the other script ("ok", "yes" in a Persian call).
    """
    persian = _PERSIAN.search(words) is not None
    latin = _LATIN.search(words) is not None
    if persian == latin:
        return spoken
    return "fa" if persian else "en"


def _fold(text: str) -> str:
    # Some single characters stand for several words, two of them for whole phrases no caller says
    # in a reply; what they come to is not read without end.
    plain = text.replace("\ufdfa", " ").replace("\ufdfb", " ")
    composed = excerpt(unicodedata.normalize("NFKC", plain)).lower().translate(_FOLD)
    return _MARKS.sub("", composed)
