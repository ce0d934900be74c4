"""Counting what judging would take whose answers do not exist yet.

Every prompt is rendered for each judge with the answers left out. The answers' tokens come on top:
as many as earlier answers of their generators had, or as their max_tokens leave room for.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from judge.candidates.generation import ResolvedGenerator
from judge.candidates.pairing import PairingRules, Strategy, pair_candidates
from judge.identity import content_of
from judge.inputs.intake import IntakeReport
from judge.job.judging import ResolvedJudge, request_of
from judge.job.run_identity import run_settings
from judge.job.showing import shown_of
from judge.policies.choice import most_asked, policy_of
from judge.prices.estimate import Estimate, endpoint_estimates, reply_range, total
from judge.prices.estimating import Tally, judge_estimates
from judge.prices.measures import Measures
from judge.prices.pricing import Range
from judge.records import Candidate, Message, Prompt
from judge.settings.config import Settings
from prompts.errors import PromptError

DRAWS = 32
"""Prompts for which pairs are drawn, to tell how many there are and of whose answers."""
NO_ANSWER = "-"


@dataclass(frozen=True, slots=True)
class PairPlan:
    """The pairs of one prompt as rules make them if no two of its answers are equal."""

    pairs: float
    """At most, where the pairs depend on how others are judged."""
    answer_tokens: Range
    """Of the answers shown in all of these pairs, one order of each."""


@dataclass(slots=True)
class UnansweredCounts:
    """What judges would be asked, counted while prompts go by."""

    judges: Mapping[str, ResolvedJudge]
    """By judge key."""
    settings: Settings
    measures: Measures
    plans: Mapping[str, PairPlan]
    """By judge key."""
    tallies: dict[str, Tally] = field(init=False)
    _asks: Mapping[str, tuple[float, float]] = field(init=False)
    """Judge key -> how often it is asked about a pair, at least and at most."""

    def __post_init__(self) -> None:
        self.tallies = {key: Tally() for key in self.judges}
        keys = list(self.judges)
        kept = run_settings(self.settings, list(self.judges.values()), {})
        each = most_asked(kept, keys).asks_per_pair / len(keys)
        first = Counter(q.judge_key for q in policy_of(kept, keys).next_questions("0", ()))
        self._asks = {key: (min(first[key], each), each) for key in keys}

    def add(self, prompt: Prompt) -> None:
        """Count the judging of one prompt's answers."""
        said = (Message(role="assistant", content=NO_ANSWER),)
        content = content_of(prompt.messages, prompt.reference, said, said)
        shown = shown_of(
            content.prompt_json, content.reference, content.first_json, content.second_json
        )
        for key, judge in self.judges.items():
            tally, plan = self.tallies[key], self.plans[key]
            least, most = (asks * plan.pairs for asks in self._asks[key])
            try:
                rendered = judge.prompt.render_pair(shown)
            except PromptError:
                tally.unaskable += math.ceil(most)
                continue
            tokens = self.measures.counter(judge.model).prompt(request_of(judge, rendered))
            tally.calls += math.ceil(most)
            tally.least_calls += math.ceil(least)
            tally.tokens += most * tokens
            tally.least_tokens += least * tokens
            answers = plan.answer_tokens.times(self._asks[key][1])
            tally.further = total([tally.further, answers])

    def estimate(self, prompts: int) -> Estimate:
        """Return what judging the answers of so many counted prompts would take."""
        found = judge_estimates(self.judges.values(), self.tallies, self.settings, self.measures)
        pairs = math.ceil(prompts * max(plan.pairs for plan in self.plans.values()))
        return Estimate(
            intake=IntakeReport(pairs=pairs),
            contents=pairs,
            judges=found,
            endpoints=endpoint_estimates(self.settings.endpoints, found),
            samples=(),
        )


def unanswered_counts(
    judges: Sequence[ResolvedJudge],
    generators: Sequence[ResolvedGenerator],
    settings: Settings,
    measures: Measures,
) -> UnansweredCounts:
    """Return counts of nothing yet, for judging what these generators would answer."""
    tokens = {
        generator.name: measures.reply_tokens(generator.variants)
        or reply_range(1, generator.max_tokens)
        for generator in generators
    }
    rules = settings.pairing
    return UnansweredCounts(
        judges={judge.judge_key: judge for judge in judges},
        settings=settings,
        measures=measures,
        plans={
            judge.judge_key: pair_plan(
                rules, generators, tokens, is_ranking=_is_ranking(judge, judges, rules)
            )
            for judge in judges
        },
    )


def pair_plan(
    rules: PairingRules,
    generators: Sequence[ResolvedGenerator],
    answer_tokens: Mapping[str, Range],
    *,
    is_ranking: bool = False,
) -> PairPlan:
    """Return the pairs of one prompt, given the tokens of one answer by generator name.

    `is_ranking` asks for those of the first pass where best meets worst.
    """
    writers = [generator for generator in generators for _ in range(generator.n)]
    if rules.has_rounds:
        pairs = _pairs_of_rounds(rules, len(writers), is_ranking=is_ranking)
        mean = total([answer_tokens[writer.name] for writer in writers]).times(1 / len(writers))
        return PairPlan(pairs, mean.times(2 * pairs))
    candidates = [
        Candidate(
            messages=(Message(role="assistant", content=f"answer number {place}"),),
            model=writer.model,
        )
        for place, writer in enumerate(writers)
    ]
    named = [writer.name for writer in writers]
    by_text = dict(zip((candidate.text for candidate in candidates), named, strict=True))
    drawn = [
        side
        for draw in range(DRAWS)
        for pair in pair_candidates(
            str(draw), candidates, _without_duplicates(rules), generators=named
        ).pairs
        for side in pair
    ]
    shown = total([answer_tokens[by_text[side.text]] for side in drawn])
    return PairPlan(len(drawn) / 2 / DRAWS, shown.times(1 / DRAWS))


def _without_duplicates(rules: PairingRules) -> PairingRules:
    """Return the rules with no two answers taken for the same: these have no text of their own."""
    return rules.model_copy(update={"near_duplicate": 1.0})


def _pairs_of_rounds(rules: PairingRules, players: int, *, is_ranking: bool) -> int:
    """Return the most pairs of one prompt where the pairs follow from results."""
    from judge.candidates.tournament import default_rounds, most_rounds  # numpy

    if rules.strategy is Strategy.BEST_WORST and not is_ranking:
        nearest = max(1, players - 1 - rules.margin)
        return sum(players - apart for apart in range(nearest, players))
    rounds = default_rounds(players) if rules.rounds is None else rules.rounds
    return min(rounds, most_rounds(players)) * (players // 2)


def _is_ranking(judge: ResolvedJudge, judges: Sequence[ResolvedJudge], rules: PairingRules) -> bool:
    """Return whether a judge ranks the candidates before best meets worst."""
    return judge.name == (rules.first_pass or judges[0].name)
