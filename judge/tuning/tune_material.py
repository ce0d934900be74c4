"""What a judge is tuned on: pairs with votes, parted into dev and test."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from judge.errors import ConfigError
from judge.formats.lines import BadLine, Line
from judge.formats.pairs import read_pairs
from judge.formats.tasks import Answer, read_votes_and_answers
from judge.inputs.intake import IntakeReport
from judge.ledger.bare_votes import BareVote, bare_votes
from judge.ledger.store import Ledger
from judge.people.handing_over import votes_from
from judge.records import Pair, Preference, Vote
from judge.trust.gold_split import is_test, prompt_digest
from judge.tuning.example_drawing import VotedPair
from prompts.few_shots import FewShot

LEAST_PROMPTS = 20
"""In either part: intervals clustered by fewer prompts say next to nothing."""

_MEANING = {**{p.value: p for p in Preference}, "both_bad": Preference.TIE}


@dataclass(frozen=True, slots=True)
class Material:
    """The pairs with votes, without those whose prompts are shown as examples."""

    dev: tuple[VotedPair, ...]
    """In an order of prompts that their ids alone decide, so that any beginning is a sample."""
    test: tuple[VotedPair, ...]
    shown: int
    """Dev prompts that are set aside because a judge may be shown them."""

    @property
    def dev_prompts(self) -> int:
        return n_prompts(self.dev)

    @property
    def test_prompts(self) -> int:
        return n_prompts(self.test)


def read_voted(pairs: str, ledger: Path, gold: str | None) -> tuple[VotedPair, ...]:
    """Return the pairs of a file that the votes of `gold`, or else of the ledger, are about.

    Raises InputError for bad lines, and ConfigError where no vote is on any of the pairs.
    """
    votes: dict[str, list[Vote | BareVote]] = {}
    for vote in _votes(ledger, gold):
        if vote.preference in _MEANING:
            votes.setdefault(vote.pair_id, []).append(vote)
    report = IntakeReport()
    found = []
    for line in read_pairs(pairs):
        if isinstance(line, BadLine):
            report.refuse(str(line))
        elif line.record.pair_id in votes:
            found.append(_voted(line.record, votes.pop(line.record.pair_id)))
    report.raise_if_bad("nothing was asked; mend the lines")
    if not found:
        whose = gold or f"ledger {ledger}"
        raise ConfigError(
            f"{whose} has no vote on any pair of {pairs}; votes name pairs by pair_id, so give "
            "--gold the votes on these pairs"
        )
    return tuple(found)


def material_of(voted: Sequence[VotedPair], shots: Sequence[FewShot], *, share: float) -> Material:
    """Return the two parts; raises ConfigError where either has too few prompts."""
    shown_ids = {shot.prompt_id for shot in shots}
    questions = {shot.question for shot in shots}
    ordered = sorted(voted, key=lambda one: prompt_digest(one.pair.prompt.prompt_id))
    test = [one for one in ordered if is_test(one.pair.prompt.prompt_id, share)]
    dev = [one for one in ordered if not is_test(one.pair.prompt.prompt_id, share)]
    asked = [
        one
        for one in dev
        if one.pair.prompt.prompt_id not in shown_ids and one.question not in questions
    ]
    material = Material(tuple(asked), tuple(test), n_prompts(dev) - n_prompts(asked))
    aside = f" beside the {material.shown} shown as examples" if material.shown else ""
    _check("dev", material.dev_prompts, 1 - share, aside=aside)
    _check("test", material.test_prompts, share)
    return material


def n_prompts(voted: Iterable[VotedPair]) -> int:
    return len({one.pair.prompt.prompt_id for one in voted})


def _check(part: str, prompts: int, share: float, *, aside: str = "") -> None:
    if prompts >= LEAST_PROMPTS:
        return
    other = "lower" if part == "dev" else "raise"
    raise ConfigError(
        f"the {part} split has {prompts} prompts with votes{aside}, and tuning needs "
        f"{LEAST_PROMPTS}; have people vote on about "
        f"{round((LEAST_PROMPTS - prompts) / share) or 1} more prompts, or {other} --test-share"
    )


def _voted(pair: Pair, votes: Sequence[Vote | BareVote]) -> VotedPair:
    counts = Counter(_MEANING[vote.preference] for vote in votes)
    top = counts.most_common(1)[0][0]
    whole = [vote for vote in votes if isinstance(vote, Vote)]
    return VotedPair(
        pair=pair,
        counts=counts,
        strengths=tuple(
            vote.strength
            for vote in whole
            if vote.strength is not None and _MEANING[vote.preference] is top
        ),
        notes={_MEANING[vote.preference]: vote.note for vote in whole if vote.note},
    )


def _votes(path: Path, gold: str | None) -> Iterator[Vote | BareVote]:
    if gold is None:
        if path.exists():
            with Ledger(path, read_only=True) as ledger:
                yield from bare_votes(ledger)
        return
    report = IntakeReport()
    lines: list[Line[Vote | Answer]] = []
    for line in read_votes_and_answers(gold):
        if isinstance(line, BadLine):
            report.refuse(str(line))
        else:
            lines.append(line)
    if any(isinstance(line.record, Answer) for line in lines):
        with Ledger(path, read_only=True) as ledger:
            given, unknown = votes_from(ledger, lines)
        report.refuse_all(gold, unknown)
        yield from (vote for _, vote in given)
    else:
        yield from (line.record for line in lines if isinstance(line.record, Vote))
    report.raise_if_bad("nothing was asked; mend the lines")
