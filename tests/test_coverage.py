"""Intervals hold the truth as often as they say: a small version of the benchmark `coverage`."""

import numpy as np
import pytest

from tests.benchmarks.coverage import (
    BOUNDS,
    DESIGNS,
    FIGURES,
    LOW,
    coverage_of,
)
from tests.benchmarks.gold_sets import Design, Interval, naive_proportion

FEW, MANY = DESIGNS[1], DESIGNS[3]
SIMULATIONS = 300
BY_CHANCE = 3 * float(np.sqrt(0.95 * 0.05 / SIMULATIONS))
"""What so many simulations may lose by chance: three standard errors of a coverage of 95 %."""


@pytest.mark.parametrize("design", [FEW, MANY], ids=str)
@pytest.mark.parametrize("figure", FIGURES)
def test_intervals_hold_the_truth_as_often_as_they_say(figure: str, design: Design) -> None:
    found = coverage_of(FIGURES[figure], design, simulations=SIMULATIONS, seed=1)
    assert 0.95 - BY_CHANCE <= found.held <= 0.95 + BY_CHANCE
    assert found.absent == 0


@pytest.mark.parametrize("design", [FEW, MANY], ids=str)
@pytest.mark.parametrize("figure", BOUNDS)
def test_lower_bounds_lie_below_the_truth_as_often_as_they_say(figure: str, design: Design) -> None:
    found = coverage_of(BOUNDS[figure], design, simulations=SIMULATIONS, seed=1)
    assert 0.95 - BY_CHANCE <= found.held < 1
    assert found.absent == 0


def test_intervals_that_ignore_prompts_would_fail_this_test() -> None:
    naive = coverage_of(naive_proportion, MANY, simulations=SIMULATIONS, seed=1)
    assert naive.held < 0.7
    few = coverage_of(naive_proportion, FEW, simulations=SIMULATIONS, seed=1)
    assert few.held < LOW - BY_CHANCE


def test_an_interval_holds_its_ends_and_a_bound_everything_above_it() -> None:
    assert Interval(0.5, 0.8, truth=0.8).holds
    assert not Interval(0.5, 0.8, truth=0.81).holds
    assert not Interval(0.5, 0.8, truth=0.49).holds
    assert Interval(0.5, None, truth=0.99).holds
    assert not Interval(0.5, None, truth=0.49).holds
    assert Interval(0.5, None, truth=0.6).width == pytest.approx(0.1)
