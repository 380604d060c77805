from __future__ import annotations

import pytest

from intent.errors import LlmAnswerError
from intent.llm_answer import content_of, meaning_of, tokens_of
from intent.meaning import Meaning


@pytest.mark.parametrize(
    ("content", "meaning"),
    [
        ("yes", Meaning.YES),
        (" Yes. ", Meaning.YES),
        ('"no"', Meaning.NO),
        ("Number Question", Meaning.NUMBER_QUESTION),
        ("do-not-call", Meaning.DO_NOT_CALL),
        ('{"intent": "unknown"}', Meaning.UNKNOWN),
        ('```json\n{"intent": "no"}\n```', Meaning.NO),
    ],
)
def test_a_word_is_matched_exactly(content: str, meaning: Meaning) -> None:
    """Case, quotes, dashes and code fences around the word do not matter."""
    assert meaning_of(content) is meaning


@pytest.mark.parametrize(
    "content",
    [
        "",
        "yes or no",
        "the answer is yes",
        "not unknown",
        "{}",
        '{"intent": 1}',
        '{"intent": "y',
        "ok",
    ],
)
def test_anything_else_is_no_answer(content: str) -> None:
    """A sentence that contains a word, or JSON without one, is no answer."""
    with pytest.raises(LlmAnswerError):
        meaning_of(content)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"choices": [{"message": "yes"}]}',
        b'{"error": {"message": "x"}}',
        b"data: not json\n\n",
        b"[" * 100_000,
    ],
)
def test_a_body_without_a_completion_is_no_answer(body: bytes) -> None:
    """Whatever else a server sends is refused as an answer, not raised as something else."""
    with pytest.raises(LlmAnswerError):
        content_of(body)


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (
            b'{"usage": {"prompt_tokens": 90, "completion_tokens": 3}}',
            {"prompt": 90, "completion": 3},
        ),
        (
            (
                b'data: {"usage": null}\n\n'
                b'data: {"usage": {"prompt_tokens": 9, "completion_tokens": 1}}\n\n'
            ),
            {"prompt": 9, "completion": 1},
        ),
        (b'{"usage": {"prompt_tokens": "many"}}', {}),
        (b'{"usage": {"prompt_tokens": -1, "completion_tokens": 1}}', {}),
        (b"{}", {}),
    ],
)
def test_the_tokens_of_an_answer_are_read(body: bytes, tokens: dict[str, int]) -> None:
    """What a completion says it bills is read in both forms; nonsense counts as nothing."""
    assert tokens_of(body) == tokens
