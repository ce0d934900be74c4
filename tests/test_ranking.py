"""The judge's ranking of systems beside the humans'."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.ranking import FEWEST_PAIRS, MOST_SYSTEMS, SystemRanking, system_ranking

Row = tuple[int, int, int, int | None, tuple[int, int, int]]
"""Prompt, first system, second system, label, votes for the second, a tie and the first."""

NAMES = ("ant", "bee", "cat", "dog", "elk")


def ranking_of(rows: Sequence[Row], names: Sequence[str | None] = NAMES) -> SystemRanking:
    prompt, first, second = (np.array([row[at] for row in rows], np.intp) for at in range(3))
    return system_ranking(
        np.array([row[3] or 0 for row in rows], np.int8),
        np.array([row[3] is not None for row in rows], bool),
        votes=np.array([row[4] for row in rows], float).reshape(-1, 3),
        first_system=first,
        second_system=second,
        names=names,
        cluster=prompt,
        draws=300,
    )


def drawn(
    strength: Sequence[float], *, prompts: int, judge: Sequence[float] | None = None, seed: int = 0
) -> list[Row]:
    """Every two systems on every prompt; a vote and a label by Bradley-Terry strengths."""
    rng = np.random.default_rng(seed)
    theirs = strength if judge is None else judge
    rows: list[Row] = []
    for prompt in range(prompts):
        for a, b in combinations(range(len(strength)), 2):
            label = 1 if rng.random() < 1 / (1 + np.exp(theirs[b] - theirs[a])) else -1
            first = rng.random() < 1 / (1 + np.exp(strength[b] - strength[a]))
            rows.append((prompt, a, b, label, (int(not first), 0, int(first))))
    return rows


def copied(rows: Sequence[Row], sign: int = 1) -> list[Row]:
    """The same rows with the vote as the label, or its opposite."""
    return [(p, a, b, sign * (v[2] - v[0]), v) for p, a, b, _, v in rows]


def test_a_judge_who_votes_as_the_humans_do_ranks_as_they_do() -> None:
    found = ranking_of(copied(drawn([0, 0.5, 1, 2], prompts=30)))
    assert (found.tau.value, found.tau.n) == (1, 4)
    assert found.decisiveness.value == pytest.approx(1)
    assert [found.residuals[name].value for name in NAMES] == [0, 0, 0, 0, None]
    assert [test.p for test in found.adjusted.values()] == [1] * 4


def test_a_judge_who_votes_against_the_humans_ranks_the_other_way_round() -> None:
    found = ranking_of(copied(drawn([0, 0.5, 1, 2], prompts=30), sign=-1))
    assert found.tau.value == -1
    assert found.decisiveness.value == pytest.approx(-1)


def test_a_judge_more_decided_than_the_humans_exaggerates() -> None:
    strength = [-1.0, -0.4, 0.0, 0.4, 1.0]
    found = ranking_of(drawn(strength, judge=[3 * s for s in strength], prompts=100))
    assert found.decisiveness.low is not None
    assert found.decisiveness.low > 1


# Wins out of ten; what scipy.stats.kendalltau gives on them.
@pytest.mark.parametrize(
    ("judge", "humans", "tau"),
    [
        ([2, 5, 5, 9], [1, 6, 4, 6], 0.8),
        ([2, 5, 5, 9, 3], [1, 6, 4, 6, 7], 0.2222222),
    ],
)
def test_tied_win_rates_count_as_tau_b_counts_them(
    judge: list[int], humans: list[int], tau: float
) -> None:
    # Against answers of unknown origin, which are no system of their own.
    rows: list[Row] = [
        (at, system, len(judge), 1 if at < wins else -1, (0, 0, 1) if at < voted else (1, 0, 0))
        for system, (wins, voted) in enumerate(zip(judge, humans, strict=True))
        for at in range(10)
    ]
    found = ranking_of(rows, names=[*NAMES[: len(judge)], None])
    assert found.tau.value == pytest.approx(tau, abs=1e-6)
    assert list(found.residuals) == list(NAMES[: len(judge)])
    assert found.residuals["ant"].value == pytest.approx(0.1)


def test_a_tie_is_half_a_win_on_either_side() -> None:
    rows: list[Row] = [(at, 0, 1, 0, (0, 0, 2) if at % 2 else (1, 0, 1)) for at in range(10)]
    found = ranking_of(rows)
    assert found.residuals["ant"].value == pytest.approx(0.5 - 0.75)
    assert found.residuals["bee"].value == pytest.approx(0.5 - 0.25)
    assert found.residuals["ant"].n == 10


def test_the_one_system_that_a_judge_favours_stands_out() -> None:
    strength = [0.0, 0.2, 0.4, 0.6, 0.8]
    found = ranking_of(drawn(strength, judge=[0.0, 0.2, 2.4, 0.6, 0.8], prompts=150))
    favoured = found.residuals["cat"]
    assert favoured.low is not None
    assert favoured.low > 0.1
    p = {name: test.p for name, test in found.adjusted.items()}
    assert all(value is not None for value in p.values())
    assert p["cat"] == min(p.values(), key=float)  # type: ignore[arg-type]
    assert float(p["cat"] or 0.0) < 1e-6


def test_an_honest_judge_is_rarely_accused() -> None:
    accused = 0
    for seed in range(40):
        found = ranking_of(drawn([0.0, 0.3, 0.6], prompts=40, seed=seed))
        accused += any((test.p or 0.0) < 0.05 for test in found.adjusted.values())
    assert accused <= 6


def test_systems_of_few_pairs_are_absent_with_the_reason() -> None:
    rows = drawn([0, 1, 2], prompts=8)
    rows += [(9, 0, 3, 1, (0, 0, 1))] * (FEWEST_PAIRS - 1)
    found = ranking_of(rows)
    assert found.tau.n == 3
    assert found.residuals["dog"].value is None
    assert found.residuals["dog"].n == FEWEST_PAIRS - 1
    assert found.residuals["dog"].why == "fewer than 10 labelled pairs with a vote"
    assert found.residuals["elk"].n == 0
    assert set(found.adjusted) == {"ant", "bee", "cat"}


def test_beyond_a_number_of_systems_those_with_the_most_pairs_are_ranked() -> None:
    many = MOST_SYSTEMS + 1
    rows: list[Row] = [
        (at, system, many, 1, (0, 0, 1)) for system in range(many) for at in range(10 + system)
    ]
    found = ranking_of(rows, names=[*(f"s{at}" for at in range(many)), None])
    assert found.tau.n == MOST_SYSTEMS
    assert next(iter(found.residuals)) == f"s{many - 1}"
    assert found.residuals["s0"].why == "only the 50 systems with the most pairs are ranked"


def test_without_enough_to_rank_the_reason_is_told() -> None:
    assert ranking_of([]).tau.why == "no human vote on a labelled pair"
    two = ranking_of(drawn([0, 1], prompts=20))
    too_few = "fewer than 3 systems have 10 labelled pairs with a vote"
    assert two.tau.why == two.decisiveness.why == too_few
    assert two.residuals["ant"].value is not None
    unvoted: list[Row] = [(0, 0, 1, 1, (0, 0, 0)), (1, 0, 1, None, (1, 0, 0))]
    assert ranking_of(unvoted).tau.why == "no human vote on a labelled pair"


def test_win_rates_that_are_all_alike_are_no_ranking() -> None:
    rows: list[Row] = [
        (at, a, b, 0, (0, 1, 0)) for at in range(10) for a, b in ((0, 1), (1, 2), (0, 2))
    ]
    found = ranking_of(rows)
    assert found.tau.why == "the judge, or the humans, give every system the same win rate"
    assert found.decisiveness.why == "the humans give every system a win rate of 1/2"


def test_one_prompt_gives_values_without_intervals() -> None:
    rows = [(0, *row[1:]) for row in drawn([0, 1, 2], prompts=20)]
    found = ranking_of(rows)
    for estimate in (found.tau, found.decisiveness, found.residuals["ant"]):
        assert estimate.value is not None
        assert estimate.low is None
        assert estimate.why == "one prompt only; an interval needs at least two"


system = st.integers(0, 4)
votes = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
ROWS = st.lists(
    st.tuples(st.integers(0, 5), system, system, st.sampled_from([1, 0, -1, None]), votes),
    min_size=30,
    max_size=80,
)


@settings(deadline=None)
@given(ROWS)
def test_exchanging_the_candidates_of_every_pair_changes_no_ranking(rows: list[Row]) -> None:
    exchanged: list[Row] = [
        (p, b, a, None if said is None else -said, (cast[2], cast[1], cast[0]))
        for p, a, b, said, cast in rows
    ]
    as_given, other = ranking_of(rows), ranking_of(exchanged)
    for estimate, theirs in [
        (as_given.tau, other.tau),
        (as_given.decisiveness, other.decisiveness),
        *((as_given.residuals[name], other.residuals[name]) for name in NAMES),
    ]:
        assert estimate.why == theirs.why
        assert estimate.n == theirs.n
        assert estimate.value == (
            theirs.value if theirs.value is None else pytest.approx(theirs.value)
        )
        if estimate.low is not None and estimate.value is not None and estimate.high is not None:
            assert estimate.low <= estimate.value <= estimate.high
            assert estimate.low == pytest.approx(theirs.low)
