"""`judge simulate`: a judge and annotators to rehearse with."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic_core import to_json

from judge.cli.talk import Talk, talk_on_stderr
from judge.errors import InputError
from judge.formats.lines import BadLine
from judge.formats.pairs import read_pairs
from judge.formats.votes import vote_row
from judge.records import Pair
from judge.simulator.quality import human_votes
from judge.simulator.server import LOOPBACK, serve_forever
from judge.simulator.settings import MODEL, SimulatorSettings

Settings = Annotated[SimulatorSettings, Parameter(name="*")]


def command(
    *,
    port: int = 0,
    votes: Path | None = None,
    annotators: int = 3,
    human_accuracy: float = 0.85,
    settings: Settings | None = None,
) -> int:
    """Serve a simulated judge, an OpenAI-compatible endpoint, on this machine until interrupted.

    Its verdicts come from a hidden truth about the texts and from the flags, not from a model.
    With --votes it writes what simulated people would vote by the same truth instead.

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0 takes a free one.
    votes
        JSON Lines file of pairs: print human votes on them as JSON Lines, and serve nothing.
    annotators
        Simulated people per pair.
    human_accuracy
        Probability that a vote that is no tie names the truly better answer.
    """
    talk = talk_on_stderr()
    chosen = settings or SimulatorSettings()
    if votes is not None:
        return _print_votes(
            votes, talk, seed=chosen.seed, annotators=annotators, accuracy=human_accuracy
        )
    serve_forever(chosen, LOOPBACK, port, lambda base_url: _announce(base_url, talk))
    return 0


def _announce(base_url: str, talk: Talk) -> None:
    print(base_url, flush=True)
    talk.say(
        "this judge is simulated: its verdicts come from its settings, not from a model\n"
        f"use it: judge run pairs.jsonl --base-url {base_url} --model {MODEL}\n"
        "Ctrl-C stops it"
    )


def _print_votes(path: Path, talk: Talk, *, seed: int, annotators: int, accuracy: float) -> int:
    if annotators < 1 or not 0 <= accuracy <= 1:
        raise InputError("--annotators must be at least 1 and --human-accuracy between 0 and 1")
    count = 0
    for vote in human_votes(_pairs(path), seed=seed, annotators=annotators, accuracy=accuracy):
        sys.stdout.buffer.write(to_json(vote_row(vote)) + b"\n")
        count += 1
    talk.say(
        f"{count:,} votes, all simulated: they come from the hidden truth of seed {seed}, "
        f"not from people\nafter judge run {shlex.quote(str(path))}, import them with: "
        "judge import votes.jsonl --kind votes"
    )
    return 0


def _pairs(path: Path) -> Iterator[Pair]:
    for line in read_pairs(path):
        if isinstance(line, BadLine):
            raise InputError(f"{line}; mend the line")
        yield line.record
