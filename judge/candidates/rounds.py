"""Which pairs of a run follow from its labels so far: Swiss rounds, and best against worst.

Everything is derived from stored candidates and stored replies, prompt by prompt, with draws that
come from the seed and the prompt's id. So a job may end anywhere and go on there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice, zip_longest
from typing import Self

from judge.candidates.generation import Slot
from judge.candidates.pairing import (
    PairingRules,
    Strategy,
    in_drawn_order,
    keep_candidates,
    named_pair,
)
from judge.candidates.tournament import Meeting, Schedule, extremes, is_undecided, ranking, schedule
from judge.identity import canonical
from judge.ledger.candidates import slotted_candidates_of
from judge.ledger.intake import Given, add_pairs
from judge.ledger.run_facts import readings_on
from judge.ledger.runs import FIRST_PASS_RUN, ROUNDS_RUN, Run, clear_selection, find_run
from judge.ledger.store import Ledger
from judge.outcomes.labelling import label_of
from judge.outcomes.labels import PENDING
from judge.records import Candidate, Label, Outcome, Pair, Prompt, Reading

PROMPTS_AT_ONCE = 64
"""Prompts whose replies are looked up together."""
PAIRS_AT_ONCE = 500

_POINTS = {Outcome.FIRST: 1.0, Outcome.SECOND: 0.0, Outcome.TIE: 0.5, Outcome.INCONSISTENT: 0.5}
_EXCHANGED = "-x"


@dataclass(frozen=True, slots=True)
class Contest:
    """Whose answers are compared: the candidates of one run that generated."""

    run_id: str
    slots: tuple[Slot, ...]
    names: Mapping[str, str]
    """Generator key -> the generator's name."""
    rules: PairingRules


@dataclass(frozen=True, slots=True)
class Tournament:
    """The candidates of one prompt and how far they have come against each other."""

    prompt: Prompt
    candidates: tuple[Candidate, ...]
    """The players, duplicates dropped."""
    generators: tuple[str, ...]
    """Who wrote each."""
    pairs: Mapping[Meeting, Pair]
    """Every two of them, on drawn sides."""
    schedule: Schedule
    seed: str

    def ranking(self) -> tuple[list[int], list[float]]:
        """Return the candidates from best to worst, and their strengths in that order."""
        return ranking(len(self.candidates), self.schedule.games, seed=self.seed)


def tournaments(ledger: Ledger, contest: Contest, run: Run) -> Iterator[Tournament]:
    """Yield the tournament of every prompt of a contest as the labels of a run have it."""
    found = slotted_candidates_of(
        ledger, contest.run_id, contest.slots, keep_truncated=contest.rules.keep_truncated
    )
    while group := list(islice(found, PROMPTS_AT_ONCE)):
        entered = [_entered(prompt, answers, contest) for prompt, answers in group]
        ids = [_content_id(pair) for one in entered for pair in one.pairs.values()]
        readings = readings_on(ledger, ids, run.judge_keys, one_order=run.one_order)
        for one in entered:
            yield _as_played(one, readings, run, contest.rules)


@dataclass(slots=True)
class SwissPairs:
    """Pairs of Swiss rounds: those of a round follow from the labels of the rounds before it."""

    contest: Contest
    kind: str = ROUNDS_RUN
    on_round: Callable[[str], None] | None = None
    _words: str = ""
    _selected: list[int] = field(default_factory=list)
    """Rounds that are selected, prompt by prompt."""

    @property
    def identity(self) -> Mapping[str, object]:
        return _identity(self.contest)

    def select(self, ledger: Ledger, run: Run, *, is_anew: bool) -> bool:
        """Select the pairs of all rounds that the labels lead to; return whether those are all."""
        is_last, of = True, 0
        reached: set[int] = set()
        earlier, self._selected = [] if is_anew else self._selected, []
        with Selecting(ledger, run, is_anew=is_anew) as selecting:
            for one, begun in zip_longest(tournaments(ledger, self.contest, run), earlier):
                plan = one.schedule
                is_last = is_last and plan.is_last
                of = max(of, plan.of)
                if not plan.is_over:
                    reached.add(len(plan.rounds))
                # More than one where a round is found judged: by another run, or before a retry.
                for meetings in plan.rounds[begun or 0 :]:
                    selecting.add(one.pairs[meeting] for meeting in meetings)
                self._selected.append(len(plan.rounds))
        self._words = _round_words(reached, of)
        return is_last

    def announce(self) -> None:
        if self.on_round is not None:
            self.on_round(self._words)


@dataclass(slots=True)
class BestWorstPairs:
    """Best against worst of every prompt, as the labels of a first pass rank its candidates."""

    contest: Contest
    first_pass: str
    """Id of the run whose labels rank them."""
    kind: str = ROUNDS_RUN
    undecided: int = 0
    """Prompts left out: the first pass told none of their candidates from another."""

    @property
    def identity(self) -> Mapping[str, object]:
        return {**_identity(self.contest), "first_pass": self.first_pass}

    def select(self, ledger: Ledger, run: Run, *, is_anew: bool) -> bool:
        """Select the pairs that the first pass leads to, which are all."""
        self.undecided = 0
        ranked_by = find_run(ledger, self.first_pass)
        with Selecting(ledger, run, is_anew=is_anew) as selecting:
            for one in tournaments(ledger, self.contest, ranked_by):
                order, strengths = one.ranking()
                if one.schedule.of and is_undecided(strengths):
                    self.undecided += 1
                    continue
                chosen = extremes(order, margin=self.contest.rules.margin)
                selecting.add(one.pairs[min(pair), max(pair)] for pair in chosen)
        return True

    def announce(self) -> None:
        """All is selected before anything is asked, and told with the run."""


def first_pass_pairs(contest: Contest, on_round: Callable[[str], None] | None = None) -> SwissPairs:
    """Return the rounds that rank the candidates for best against worst."""
    return SwissPairs(contest, FIRST_PASS_RUN, on_round)


@dataclass(slots=True)
class Selecting:
    """Selects pairs for a run, some at a time."""

    ledger: Ledger
    run: Run
    is_anew: bool
    _held: list[Given] = field(default_factory=list)

    def __enter__(self) -> Self:
        if self.is_anew:
            clear_selection(self.ledger, self.run.run_id)
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._store()

    def add(self, pairs: Iterable[Pair]) -> None:
        self._held += [Given(0, pair, canonical(pair)) for pair in pairs]
        if len(self._held) >= PAIRS_AT_ONCE:
            self._store()

    def _store(self) -> None:
        if self._held:
            add_pairs(self.ledger, self.run.run_id, self._held)
        self._held.clear()


@dataclass(frozen=True, slots=True)
class _Entered:
    """The candidates of one prompt before anything is known of them."""

    prompt: Prompt
    candidates: tuple[Candidate, ...]
    generators: tuple[str, ...]
    pairs: Mapping[Meeting, Pair]


def _entered(
    prompt: Prompt, answers: Sequence[tuple[Slot, Candidate]], contest: Contest
) -> _Entered:
    kept = keep_candidates([candidate for _, candidate in answers], contest.rules).places
    players = tuple(answers[place][1] for place in kept)
    pairs = {}
    for meeting in combinations(range(len(players)), 2):
        one, other = (players[place] for place in meeting)
        sides = in_drawn_order(prompt.prompt_id, one, other, place=meeting, seed=contest.rules.seed)
        pairs[meeting] = named_pair(prompt, *sides)
    names = tuple(contest.names[answers[place][0].generator_key] for place in kept)
    return _Entered(prompt, players, names, pairs)


def _as_played(
    entered: _Entered, readings: Mapping[str, list[Reading]], run: Run, rules: PairingRules
) -> Tournament:
    def label(meeting: Meeting) -> Label:
        pair = entered.pairs[meeting]
        is_exchanged = pair.pair_id.endswith(_EXCHANGED)
        said = readings.get(_content_id(pair), [])
        return label_of(run, pair.pair_id, [r.oriented(is_exchanged=is_exchanged) for r in said])

    def points(meeting: Meeting) -> float | None:
        told = _POINTS.get(label(meeting).outcome)
        is_turned = entered.pairs[meeting].first is not entered.candidates[meeting[0]]
        return 1 - told if told is not None and is_turned else told

    players = len(entered.candidates)
    seed = f"{rules.seed}\n{entered.prompt.prompt_id}"
    plan = schedule(
        players,
        points,
        is_over=lambda meeting: label(meeting).reason != PENDING,
        rounds=0 if _needs_no_rounds(players, rules) else rules.rounds,
        seed=seed,
    )
    return Tournament(
        entered.prompt, entered.candidates, entered.generators, entered.pairs, plan, seed
    )


def _needs_no_rounds(players: int, rules: PairingRules) -> bool:
    """Whether best against worst takes every pair, so that no ranking could change it."""
    return rules.strategy is Strategy.BEST_WORST and players - 1 - rules.margin <= 1


def _round_words(reached: set[int], of: int) -> str:
    """Prompts with fewer candidates, and those of a job that was killed, are in rounds apart."""
    if len(reached) > 1:
        return f"rounds {min(reached)} to {max(reached)} of {of}"
    return f"round {max(reached, default=of)} of {of}"


def _identity(contest: Contest) -> Mapping[str, object]:
    told = contest.rules.model_dump(mode="json", exclude_defaults=True)
    return {"candidates": contest.run_id, "pairing": told}


def _content_id(pair: Pair) -> str:
    return pair.pair_id.removesuffix(_EXCHANGED)
