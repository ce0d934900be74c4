"""A report on simulated judges and people tells the truth: a small version of the benchmark."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from scipy.special import bdtr

from calibration.intervals import Estimate
from judge.trust.audit import report_of
from tests.benchmarks.population import Population, gathered_sample
from tests.benchmarks.truth import (
    MAIN,
    Held,
    Path,
    closed_form,
    coverage_of,
    true_values,
)

POPULATION = Population()
ASKED_ONCE = replace(POPULATION, repeat_rate=0.0)
SEEDS, PROMPTS = 20, 60
LARGE = 2000
KNOWN = tuple(closed_form(ASKED_ONCE))


def fewest(seeds: int) -> int:
    """How many of so many 95 % intervals hold in all but one of 10,000 trials."""
    return next(held for held in range(seeds) if bdtr(held, seeds, 0.95) > 1e-4)


@pytest.fixture(scope="module")
def held() -> Held:
    truth = true_values(POPULATION, prompts=LARGE)
    return coverage_of(POPULATION, truth, seeds=SEEDS, prompts=PROMPTS)


@pytest.fixture(scope="module")
def large() -> Mapping[Path, Estimate]:
    """A large sample whose truth is known by algebra."""
    return dict(report_of(gathered_sample(ASKED_ONCE, prompts=LARGE, seed=3)).figures())


def test_the_bound_follows_from_the_binomial() -> None:
    assert fewest(20) == 14
    assert fewest(100) == 85


@pytest.mark.parametrize("figure", MAIN)
def test_the_main_figures_hold_the_truth(held: Held, figure: str) -> None:
    path = MAIN[figure]
    assert held.seeds[path] == SEEDS
    assert held.holding[path] >= fewest(SEEDS)


def test_every_other_figure_with_an_interval_holds_the_truth(held: Held) -> None:
    assert len(held.regular) > 100
    wrong = {
        path: f"{held.holding[path]} of {held.seeds[path]}"
        for path in held.regular
        if held.holding[path] < fewest(held.seeds[path])
    }
    assert wrong == {}


def test_all_figures_together_hold_nearly_as_often_as_they_say(held: Held) -> None:
    shares = [held.share(path) for path in held.regular]
    assert 0.92 <= sum(shares) / len(shares) <= 0.98


@pytest.mark.parametrize("path", KNOWN, ids=".".join)
def test_a_large_sample_comes_to_what_algebra_says(
    large: Mapping[Path, Estimate], path: Path
) -> None:
    estimate, truth = large[path], closed_form(ASKED_ONCE)[path]
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    # The width of a 95 % interval is about four standard errors.
    assert abs(estimate.value - truth) < estimate.high - estimate.low


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({"position_bias": 0.2}, "toward first"),
        ({"hard_accuracy": 0.85}, "S1 micro"),
        ({"human_accuracy": 0.95}, "human-human S1"),
        ({"unparsable_rate": 0.05}, "unparsed rate"),
        ({"length_bias": -0.04}, "length pull"),
        ({"shared_opinion": 0.9}, "consistency"),
    ],
)
def test_the_truth_of_another_population_is_not_held(
    large: Mapping[Path, Estimate], change: Mapping[str, float], figure: str
) -> None:
    estimate, other = large[MAIN[figure]], closed_form(replace(ASKED_ONCE, **change))[MAIN[figure]]
    assert estimate.low is not None
    assert estimate.high is not None
    assert not estimate.low <= other <= estimate.high


def test_the_same_seed_draws_the_same_sample_and_another_seed_another() -> None:
    def drawn(seed: int) -> object:
        sample = gathered_sample(POPULATION, prompts=5, seed=seed)
        return sample.judges[0].label.tolist(), sample.votes.choice.tolist()

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
