"""Whether a report's intervals hold the truth about a simulated judge and simulated people.

The truth of every figure is its value on a very large sample of the same population; that of the
main ones is known in closed form too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from calibration.chance import cohens_kappa
from calibration.intervals import Floats
from calibration.report.model import Report
from judge.trust.audit import report_of
from tests.benchmarks.bench import Bench
from tests.benchmarks.figures import Figure
from tests.benchmarks.population import JUDGE, Population, gathered_sample

SEEDS = 100
PROMPTS = 150
"""Of one sample: 900 pairs."""
LARGE = 10_000
"""Prompts of the sample that stands for the population."""
AT_LEAST = 0.93

Path = tuple[str, ...]

NOT_OF_THE_POPULATION = {
    "ece": "it grows as bins get emptier, so a small sample has another truth than a large one",
    "ece_if_perfect": "its interval says where chance alone would put it",
}
"""Last part of a figure's path -> why its interval need not hold the value of a larger sample."""

_J = ("judges", JUDGE)
MAIN: Mapping[str, Path] = {
    "S1 micro": (*_J, "s1", "micro"),
    "S1 macro": (*_J, "s1", "macro"),
    "S1 majority": (*_J, "s1", "majority"),
    "S2 micro": (*_J, "s2", "micro"),
    "S2 macro": (*_J, "s2", "macro"),
    "S2 coverage": (*_J, "s2_coverage"),
    "kappa": (*_J, "kappa"),
    "certificate (a bound)": (*_J, "certificate", "bound"),
    "consistency": (*_J, "consistency"),
    "toward first": (*_J, "toward_first"),
    "toward second": (*_J, "toward_second"),
    "preference fairness": (*_J, "preference_fairness"),
    "unparsed rate": (*_J, "unparsed_rate"),
    "length pull": (*_J, "bias", "length", "judge"),
    "length pull, humans": (*_J, "bias", "length", "humans"),
    "human-human S1": ("ceiling", "human_human", "s1"),
    "human-human S2": ("ceiling", "human_human", "s2"),
    "leave-one-out S1": ("ceiling", "leave_one_out", "s1"),
    "kappa between humans": ("ceiling", "kappa"),
}


@dataclass(frozen=True, slots=True)
class Held:
    """How often the intervals of each figure held the truth."""

    seeds: Mapping[Path, int]
    """Samples that gave an interval."""
    holding: Mapping[Path, int]

    def share(self, path: Path) -> float:
        return self.holding.get(path, 0) / self.seeds[path]

    @property
    def regular(self) -> tuple[Path, ...]:
        """Figures that most samples gave an interval for."""
        most = max(self.seeds.values())
        return tuple(path for path, seeds in self.seeds.items() if 2 * seeds > most)


def true_values(
    population: Population, *, prompts: int = LARGE, seed: int = 10**6
) -> Mapping[Path, float]:
    """Return the value of every figure on a large sample of the population."""
    report = report_of(gathered_sample(population, prompts=prompts, seed=seed))
    values = {
        path: estimate.value
        for path, estimate in report.figures()
        if estimate.value is not None and path[-1] not in NOT_OF_THE_POPULATION
    }
    bounded = report.judges[JUDGE].certificate.value
    return values if bounded is None else {**values, MAIN["certificate (a bound)"]: bounded}


def coverage_of(
    population: Population, truth: Mapping[Path, float], *, seeds: int, prompts: int = PROMPTS
) -> Held:
    """Return how often the intervals of so many samples hold the true values."""
    given: Counter[Path] = Counter()
    holding: Counter[Path] = Counter()
    for seed in range(seeds):
        report = report_of(gathered_sample(population, prompts=prompts, seed=seed))
        for path, low, high in _intervals(report):
            if path in truth:
                given[path] += 1
                holding[path] += low - 1e-9 <= truth[path] <= high + 1e-9
    return Held(given, holding)


def measure_truth(bench: Bench) -> list[Figure]:
    """Share of 100 samples whose intervals hold the truth, figure by figure."""
    population = Population()
    bench.say("truth: the large sample")
    truth = true_values(population, prompts=bench.size(LARGE, 100))
    seeds = bench.size(SEEDS, 3)
    bench.say(f"truth: {seeds} samples")
    held = coverage_of(population, truth, seeds=seeds, prompts=bench.size(PROMPTS, 30))
    figures = [
        Figure("truth", name, (held.share(path),), at_least=AT_LEAST)
        for name, path in MAIN.items()
        if path in held.seeds
    ]
    others = [path for path in held.regular if path not in MAIN.values()]
    missed = [path for path in others if held.share(path) < AT_LEAST]
    pooled = np.mean([held.share(path) for path in held.regular])
    return [
        *figures,
        *(
            Figure("truth", ".".join(path), (held.share(path),), at_least=AT_LEAST)
            for path in missed
        ),
        Figure("truth", "figures with an interval", (len(held.regular),)),
        Figure("truth", "of which hold in fewer than 93 %", (_misses(held),)),
        Figure("truth", "all of them together", (float(pooled),), at_least=AT_LEAST),
    ]


def closed_form(population: Population) -> Mapping[Path, float]:
    """Return what is true of the main figures by algebra, without repeated asks.

    Answers of one prompt are compared as they are: in half of the pairs the better answer is the
    longer one. Failures strike verdicts at random, so they change no figure but their own rate.
    """
    cases = [
        (accuracy + lead * population.length_bias, lead)
        for accuracy in (population.easy_accuracy, population.hard_accuracy)
        for lead in (1, -1)
    ]
    labels = np.array([_label(population, right) for right, _ in cases])
    moves = np.mean([_moves(population, right) for right, _ in cases], axis=0)
    better, tie, worse = labels.mean(axis=0)
    of_vote = _vote(population)
    decided = 1 - population.human_tie_rate
    longer = np.mean(
        [row[0] if lead > 0 else row[2] for row, (_, lead) in zip(labels, cases, strict=True)]
    )
    agreeing = better * of_vote[0] + worse * of_vote[2]
    kappa = cohens_kappa(_table(np.array([better, tie, worse]), of_vote))
    assert kappa is not None
    right = population.human_accuracy
    values = {
        "S1 micro": agreeing + tie * of_vote[1],
        "S1 macro": agreeing + tie * of_vote[1],
        "S2 micro": agreeing / ((better + worse) * decided),
        "S2 macro": agreeing / ((better + worse) * decided),
        "S2 coverage": (better + worse) * decided,
        "kappa": kappa,
        "consistency": moves[1],
        "toward first": moves[0],
        "toward second": moves[2],
        "preference fairness": moves[2] - moves[0],
        "unparsed rate": population.unparsable_rate,
        "length pull": longer / (better + worse),
        "human-human S1": float(of_vote @ of_vote),
        "human-human S2": right**2 + (1 - right) ** 2,
    }
    return {MAIN[name]: float(value) for name, value in values.items()}


def _misses(held: Held) -> int:
    return sum(held.share(path) < AT_LEAST for path in held.regular)


def _intervals(report: Report) -> Iterator[tuple[Path, float, float]]:
    for path, estimate in report.figures():
        if estimate.low is not None and estimate.high is not None:
            yield path, estimate.low, estimate.high
    bound = report.judges[JUDGE].certificate.bound
    if bound is not None:
        yield MAIN["certificate (a bound)"], bound, 1.0


def _in_one_order(population: Population, right: float) -> tuple[Floats, Floats]:
    """Shares of better, tie and worse with the better answer shown first, and shown second."""
    by_position = population.position_bias
    tie = (1 - by_position) * population.tie_rate
    by_quality = 1 - by_position - tie
    first = np.array([by_position + by_quality * right, tie, by_quality * (1 - right)])
    second = np.array([by_quality * right, tie, by_position + by_quality * (1 - right)])
    return first, second


def _label(population: Population, right: float) -> Floats:
    """Shares of labels better, tie (or inconsistent) and worse, by the conservative rule."""
    first, second = _in_one_order(population, right)
    # Where both orders are judged at once, what position decides is inconsistent.
    shared = population.shared_opinion
    at_once = np.array([second[0], first[1], first[2]])
    apart = first * second
    better, _, worse = shared * at_once + (1 - shared) * apart
    return np.array([better, 1 - better - worse, worse])


def _moves(population: Population, right: float) -> Floats:
    """Shares of pairs that move toward the first position, do not move, move to the second."""
    first, second = _in_one_order(population, right)
    joint = np.outer(first, second)  # what is better when shown first, when shown second
    toward_first, same = float(np.triu(joint, 1).sum()), float(np.trace(joint))
    apart = np.array([toward_first, same, 1 - toward_first - same])
    at_once = np.array([population.position_bias, 1 - population.position_bias, 0.0])
    shared = population.shared_opinion
    return np.asarray(shared * at_once + (1 - shared) * apart)


def _vote(population: Population) -> Floats:
    """Shares of votes for the better answer, for a tie and for the worse one."""
    tie, right = population.human_tie_rate, population.human_accuracy
    return np.array([(1 - tie) * right, tie, (1 - tie) * (1 - right)])


def _table(label: Floats, vote: Floats) -> Floats:
    """Labels (rows) by votes, where the better answer is as often the first as the second."""
    as_given = np.outer(label, vote)
    return np.asarray((as_given + as_given[::-1, ::-1]) / 2)
