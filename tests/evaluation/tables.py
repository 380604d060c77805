"""The tables that are printed, 100 columns at most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean

from evaluation.corpus import Line
from evaluation.listening import Listening
from evaluation.measures import (
    Outcome,
    false_answers,
    false_yes,
    intent_accuracy,
    word_accuracy,
    wrong_answers,
)
from evaluation.trial import Chain, Trial

_MISTAKES = "".join(f"{head:>10}" for head in ("wrong", "any", "yes"))
_HEADS = "".join(f"{head:>8}" for head in ("words", "intent", "others")) + _MISTAKES
LEGEND = """\
words    words that arrived, of sentences the embedded engine's grammar holds, %
intent   of those sentences that answer, taken for what they mean, %
others   the same of answers the grammar does not hold, %
wrong    answers taken for another answer, of all answers
any      speech taken for an answer, of all that answers nothing
yes      whatever was taken for a yes and is none, of all that is none"""


def outcome_of(trial: Trial) -> Outcome:
    """Give what was made of a trial."""
    said = trial.reply.sentence
    return Outcome(said.text, said.intent, trial.text, trial.intent, said.is_known)


def _figures(outcomes: Sequence[Outcome]) -> str:
    shares = (
        word_accuracy(outcomes),
        intent_accuracy(outcomes, known=True),
        intent_accuracy(outcomes, known=False),
    )
    return "".join(f"{share!s:>8}" for share in shares) + _mistakes(outcomes)


def _mistakes(outcomes: Sequence[Outcome]) -> str:
    """Give mistakes as so many of so many: they are rare."""
    shares = (wrong_answers(outcomes), false_answers(outcomes), false_yes(outcomes))
    return "".join(f"{f'{share.some}/{share.whole}':>10}" for share in shares)


def table_of_lines(trials: Sequence[Trial], lines: Sequence[Line]) -> Iterator[str]:
    """Give one row for each line."""
    yield f"{'line':<20}{'replies':>8}{_HEADS}"
    for line in lines:
        outcomes = [outcome_of(trial) for trial in trials if trial.reply.line == line]
        yield f"{line.name:<20}{len(outcomes):>8}{_figures(outcomes)}"
    every = [outcome_of(trial) for trial in trials]
    yield f"{'all':<20}{len(every):>8}{_figures(every)}"


def table_of_chains(trials: Sequence[Trial], chains: Sequence[Chain]) -> Iterator[str]:
    """Give one row for each chain, over all lines."""
    yield f"{'chain':<20}{_HEADS}{'enhance ms':>12}{'stt ms':>8}"
    for chain in chains:
        of_chain = [trial for trial in trials if trial.chain == chain]
        figures = _figures([outcome_of(trial) for trial in of_chain])
        enhance_ms = 1000 * mean(trial.enhance_s for trial in of_chain)
        stt_ms = 1000 * mean(trial.stt_s for trial in of_chain)
        yield f"{chain.name:<20}{figures}{enhance_ms:>12.0f}{stt_ms:>8.0f}"


def table_of_intents(
    trials: Sequence[Trial], chains: Sequence[Chain], lines: Sequence[Line]
) -> Iterator[str]:
    """Give one row for each chain and one column for each line: intent accuracy."""
    yield f"{'chain':<20}" + "".join(f"{line.name:>13}" for line in lines)
    for chain in chains:
        row = f"{chain.name:<20}"
        for line in lines:
            outcomes = [
                outcome_of(trial)
                for trial in trials
                if trial.chain == chain and trial.reply.line == line
            ]
            row += f"{intent_accuracy(outcomes, known=True)!s:>13}"
        yield row


def table_of_voices(trials: Sequence[Trial]) -> Iterator[str]:
    """Give one row for each voice, over all lines."""
    yield f"{'voice':<28}{_HEADS}"
    for voice in sorted({str(trial.reply.voice) for trial in trials}):
        outcomes = [outcome_of(trial) for trial in trials if str(trial.reply.voice) == voice]
        yield f"{voice:<28}{_figures(outcomes)}"


def table_of_recordings(outcomes: Mapping[str, Sequence[Outcome]]) -> Iterator[str]:
    """Give one row for each way the recordings were sent."""
    heads = "".join(f"{head:>8}" for head in ("number", "words", "intent"))
    yield f"{'recordings':<20}{heads}{_MISTAKES}"
    for way, found in outcomes.items():
        shares = (
            word_accuracy(found),
            intent_accuracy(found),
        )
        figures = "".join(f"{share!s:>8}" for share in shares)
        yield f"{way:<20}{len(found):>8}{figures}{_mistakes(found)}"


def table_of_listening(found: Iterable[Listening]) -> Iterator[str]:
    """Give one row for each kind of recording: how often speech was heard."""
    for listening in found:
        yield f"{listening.what:<44}{listening.heard!s:>8}"
