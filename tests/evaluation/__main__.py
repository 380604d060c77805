"""What is understood of telephone replies, by filter chain, noise and voice.

Without options a corpus is spoken by the machine's own synthesisers, sent through telephone lines
of many kinds, and given to the service's own parts with the embedded engine (English). With
--recordings the providers of STT_PROVIDERS are asked about recordings of your own instead.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from evaluation.corpus import Line, replies
from evaluation.listening import listen_to_sounds, listen_to_words
from evaluation.own import evaluate_recordings
from evaluation.tables import (
    LEGEND,
    table_of_chains,
    table_of_intents,
    table_of_lines,
    table_of_listening,
    table_of_voices,
)
from evaluation.trial import Chain, Trial, run_trials
from evaluation.voices import TUNING, UNSEEN, installed
from servicekit.errors import StartupError
from speech.enhance import DENOISE
from speech.programs import require_programs

CLEAN = Line("clean")
NOISY = tuple(
    Line(f"{noise} {snr_db} dB", noise, snr_db)
    for noise in ("white", "babble", "car")
    for snr_db in (20, 15, 10, 5)
)
LINES = (CLEAN, Line("A-law", law="alaw"), Line("6 % packets lost", loses=True), *NOISY)
COMPARED = tuple(
    line for line in LINES if line.name in {"clean", "white 10 dB", "babble 15 dB", "car 10 dB"}
)
QUICK = (CLEAN, Line("6 % packets lost", loses=True), *COMPARED[1:])
DEFAULT = Chain("default", is_own=True)
OTHERS = (
    Chain("ENHANCE=denoise", is_own=True, denoises=True),
    Chain("none"),
    Chain("highpass", "highpass=f=120"),
    Chain("afftdn 12 tracking", DENOISE),
    Chain("afftdn 6", "highpass=f=120,afftdn=nr=6:nf=-45"),
    Chain("afftdn 20 tracking", "highpass=f=120,afftdn=nr=20:nf=-40:tn=1"),
    Chain("anlmdn", "highpass=f=120,anlmdn=s=0.0005"),
    Chain("dynaudnorm", "highpass=f=120,dynaudnorm=f=500:g=3:b=1:m=8"),
    Chain("speechnorm", "highpass=f=120,speechnorm=e=6:r=0.0001"),
    Chain("loudnorm", "loudnorm=I=-18:TP=-2:LRA=7"),
    Chain("band 250 to 3500 Hz", "highpass=f=250,lowpass=f=3500"),
)
_QUICK_EVERY = 8
_QUICK_CHAINS = 2
_WIDTH = 100


def main() -> int:
    """Run the command line."""
    parser = _parser()
    wanted = parser.parse_args()
    if wanted.jobs < 1:
        parser.error("--jobs must be at least 1")
    if bool(wanted.recordings) != bool(wanted.labels):
        parser.error("--recordings and --labels go together: see --help")
    try:
        require_programs()
        if wanted.recordings:
            _recordings(wanted)
        else:
            _corpus(wanted)
    except StartupError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line prints
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="an eighth of the sentences, fewer lines and chains"
    )
    parser.add_argument("--seed", type=int, default=1, help="draws voices, levels, noise")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--tuning", action="store_true", help="use the voices that thresholds are fitted on"
    )
    parser.add_argument("--recordings", type=Path, help="directory of WAV files of your own")
    parser.add_argument(
        "--labels",
        type=Path,
        help="CSV with the columns file, text, intent (text may be empty; intent is yes, no, "
        "number_question, do_not_call or unknown)",
    )
    parser.add_argument(
        "--language", choices=("fa", "en"), default="fa", help="of the recordings; without: fa"
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="ask about each recording with each value of ENHANCE, not the set one alone; "
        "a provider bills all three",
    )
    return parser


def _recordings(wanted: argparse.Namespace) -> None:
    _say(
        asyncio.run(
            evaluate_recordings(
                wanted.recordings, wanted.labels, wanted.language, compares=wanted.compare
            )
        )
    )


def _corpus(wanted: argparse.Namespace) -> None:
    unseen = not wanted.tuning
    half = UNSEEN if unseen else TUNING
    choir = installed(half)
    voices = f"voices ({'unseen' if unseen else 'tuning'}): {', '.join(map(str, choir))}"
    _say(textwrap.wrap(voices, _WIDTH, break_on_hyphens=False))
    if len(choir) < len(half):
        _say(["for voices modelled on real people as well: apt-get install flite"])
    _head("Did anybody speak? Sounds that are no speech, taken for speech, %")
    _say(table_of_listening(asyncio.run(listen_to_sounds())))
    _head("One word, heard at all, %")
    _say(table_of_listening(asyncio.run(listen_to_words(every=not wanted.quick))))
    trials = _understanding(wanted, unseen=unseen)
    _comparison(wanted, trials, unseen=unseen)


def _understanding(wanted: argparse.Namespace, *, unseen: bool) -> list[Trial]:
    lines = QUICK if wanted.quick else LINES
    trials = _trials(wanted, lines, (DEFAULT,), unseen=unseen)
    _head("What is understood, by line, with the default chain")
    _say([LEGEND, ""])
    _say(table_of_lines(trials, lines))
    _head("The same, by voice")
    _say(table_of_voices(trials))
    return trials


def _comparison(wanted: argparse.Namespace, default: Sequence[Trial], *, unseen: bool) -> None:
    others = OTHERS[:_QUICK_CHAINS] if wanted.quick else OTHERS
    trials = [trial for trial in default if trial.reply.line in COMPARED]
    trials += _trials(wanted, COMPARED, others, unseen=unseen)
    chains = (DEFAULT, *others)
    _head("By filter chain, over these lines: " + ", ".join(line.name for line in COMPARED))
    _say(table_of_chains(trials, chains))
    _head("Intent by chain and line, %")
    _say(table_of_intents(trials, chains, COMPARED))


def _trials(
    wanted: argparse.Namespace, lines: Sequence[Line], chains: Sequence[Chain], *, unseen: bool
) -> list[Trial]:
    every = _QUICK_EVERY if wanted.quick else 1
    asked = [
        reply
        for line in lines
        for reply in list(replies(line, unseen=unseen, seed=wanted.seed, each=1))[::every]
    ]
    return list(run_trials(asked, tuple(chains), wanted.jobs))


def _head(title: str) -> None:
    _say(["", title, "-" * min(_WIDTH, len(title))])


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - a command line prints


if __name__ == "__main__":
    sys.exit(main())
