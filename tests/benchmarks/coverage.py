"""Whether intervals hold the truth as often as they say, where prompts fail as a whole."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from tests.benchmarks import gold_sets
from tests.benchmarks.bench import Bench
from tests.benchmarks.figures import Figure
from tests.benchmarks.gold_sets import Design, Interval, naive_proportion

SIMULATIONS = 2000
LOW, HIGH = 0.93, 0.97
"""Where the coverage of a 95 % interval may lie."""

DESIGNS = (
    Design(20, 4, 0.85),
    Design(50, 4, 0.85),
    Design(80, 6, 0.80),
    Design(80, 15, 0.85),
)


Simulation = Callable[[Design, Generator], Interval]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often intervals of one figure held the truth, and how wide they were."""

    held: float
    width: float
    absent: float
    """Share of gold sets that gave no interval."""


FIGURES: Mapping[str, Simulation] = {
    "proportion": gold_sets.proportion,
    "S1 micro, 1 to 3 votes": gold_sets.s1_of_several_votes,
    "S1 macro, 1 to 3 votes": gold_sets.macro_s1_of_several_votes,
    "kappa, 1 to 3 votes": gold_sets.kappa,
    "difference of shares": gold_sets.difference,
    "two judges apart": gold_sets.judges_apart,
    "win rate (PPI), by prompt": gold_sets.win_rate_by_prompt,
    "win rate (PPI), by item": gold_sets.win_rate_by_item,
    "win rate (PPI), 95 % voted": gold_sets.win_rate_nearly_all_voted,
}
BOUNDS: Mapping[str, Simulation] = {
    "certificate, 1 vote": gold_sets.certificate,
    "certificate, 1 to 3 votes": gold_sets.certificate_of_several_votes,
}


def coverage_of(
    simulation: Simulation, design: Design, *, simulations: int, seed: int = 0
) -> Coverage:
    """Return how often the intervals of so many gold sets hold the truth."""
    found = [
        simulation(design, np.random.default_rng([seed, number])) for number in range(simulations)
    ]
    present = [interval for interval in found if interval.low is not None]
    return Coverage(
        held=float(np.mean([interval.holds for interval in found])),
        width=float(np.mean([interval.width for interval in present])),
        absent=1 - len(present) / len(found),
    )


def measure_coverage(bench: Bench) -> list[Figure]:
    """Coverage and mean width of every kind of interval on four designs, 2,000 gold sets each."""
    simulations = bench.size(SIMULATIONS, 20)
    rows = [*_rows(bench, FIGURES, simulations, at_most=HIGH)]
    rows += _rows(bench, BOUNDS, simulations, at_most=None)
    rows += _rows(bench, {"independent items (must miss)": naive_proportion}, simulations)
    return rows


def _rows(
    bench: Bench,
    figures: Mapping[str, Simulation],
    simulations: int,
    *,
    at_most: float | None = None,
) -> Iterable[Figure]:
    at_least = None if naive_proportion in figures.values() else LOW
    for name, simulation in figures.items():
        bench.say(f"coverage: {name}")
        for design in DESIGNS:
            found = coverage_of(simulation, design, simulations=simulations)
            what = f"{name}; {design}; mean width {found.width:.3f}"
            if found.absent:
                what += f"; {found.absent:.1%} without an interval"
            yield Figure("coverage", what, (found.held,), at_least=at_least, at_most=at_most)
