"""Estimates and clustered intervals, against published vectors and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.bootstrap import cluster_bootstrap, cluster_bootstraps
from calibration.intervals import (
    Floats,
    clustered_difference,
    clustered_proportion,
    t_quantile,
    wilson,
)

SIZES = np.array([4, 4, 3, 5, 4, 4, 2, 6])
SUCCESSES = np.array([4, 3, 0, 4, 4, 1, 2, 5])
EIGHT = np.arange(8)
NORMAL_95 = 1.959963984540054


def ratio(totals: Floats) -> Floats:
    return np.asarray(totals[:, 0] / np.maximum(totals[:, 1], 1))


def beta_binomial(rng: np.random.Generator, p: float, icc: float, sizes: np.ndarray) -> np.ndarray:
    strength = (1 - icc) / icc
    return rng.binomial(sizes, rng.beta(p * strength, (1 - p) * strength, len(sizes)))


@pytest.mark.parametrize(
    ("yes", "n", "interval"),
    [(85, 100, (0.767164, 0.906940)), (17, 20, (0.639581, 0.947631))],
)
def test_the_wilson_interval_matches_published_vectors(
    yes: int, n: int, interval: tuple[float, float]
) -> None:
    assert wilson(yes / n, n, quantile=NORMAL_95) == pytest.approx(interval, abs=1e-6)


def test_the_t_quantile_matches_the_tables() -> None:
    assert t_quantile(0.95, 1) == pytest.approx(12.7062, abs=1e-4)
    assert t_quantile(0.95, 7) == pytest.approx(2.36462, abs=1e-5)
    assert t_quantile(0.90, 10) == pytest.approx(1.81246, abs=1e-5)


def test_clustered_errors_match_the_published_vector() -> None:
    result = clustered_proportion(SUCCESSES, EIGHT, size=SIZES)
    assert result.estimate.value == 0.71875
    assert result.estimate.n == 32
    assert result.n_clusters == 8
    assert result.se_iid == pytest.approx(0.0794804, abs=1e-7)
    assert result.se_cr0 == pytest.approx(0.106736, abs=1e-6)
    assert result.se_cr1 == pytest.approx(0.114106, abs=1e-6)
    assert result.deff == pytest.approx(1.803442, abs=1e-6)
    assert result.icc == pytest.approx(0.401162, abs=1e-6)
    assert result.n_eff == pytest.approx(17.7438, abs=1e-4)
    expected = wilson(0.71875, 17.743848, quantile=t_quantile(0.95, 7))
    assert (result.estimate.low, result.estimate.high) == pytest.approx(expected, abs=1e-6)


def test_single_items_and_summed_items_give_the_same_result() -> None:
    items = np.concatenate(
        [[1] * yes + [0] * (n - yes) for yes, n in zip(SUCCESSES, SIZES, strict=True)]
    )
    single = clustered_proportion(items, np.repeat(EIGHT, SIZES))
    summed = clustered_proportion(SUCCESSES, EIGHT, size=SIZES)
    assert single.estimate.low == pytest.approx(summed.estimate.low)
    assert single.icc == pytest.approx(summed.icc)


def test_the_bca_bootstrap_matches_the_published_vector() -> None:
    sums = np.stack([SUCCESSES, SIZES], axis=1)
    result = cluster_bootstrap(sums, ratio, n=32, draws=9999, seed=0, is_expanded=False)
    assert (result.value, result.n) == (0.71875, 32)
    assert (result.low, result.high) == pytest.approx((0.428571, 0.882353), abs=1e-6)


def test_few_clusters_make_the_bootstrap_wider_by_the_quantiles_of_t() -> None:
    sums = np.stack([SUCCESSES, SIZES], axis=1)
    plain = cluster_bootstrap(sums, ratio, n=32, is_expanded=False)
    wider = cluster_bootstrap(sums, ratio, n=32)
    assert wider.low is not None
    assert wider.high is not None
    assert plain.low is not None
    assert plain.high is not None
    assert wider.low < plain.low < plain.high < wider.high


def test_from_200_clusters_the_bootstrap_is_the_percentile_interval() -> None:
    rng = np.random.default_rng(5)
    sums = np.stack([rng.binomial(4, 0.9, 200), np.full(200, 4)], axis=1)
    result = cluster_bootstrap(sums, ratio, n=800, draws=500, seed=3)
    weights = np.random.default_rng(3).integers(0, 200, size=(500, 200))
    drawn = sums[weights, 0].sum(axis=1) / 800
    assert (result.low, result.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


def test_the_bootstrap_is_repeatable_and_its_seed_matters() -> None:
    sums = np.stack([SUCCESSES, SIZES], axis=1)
    first, again, other = (cluster_bootstrap(sums, ratio, n=32, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("clusters", "items", "p", "icc"), [(20, 4, 0.85, 0.3), (50, 4, 0.85, 0.3), (80, 6, 0.8, 0.3)]
)
def test_the_default_interval_covers_the_truth_as_often_as_it_says(
    clusters: int, items: int, p: float, icc: float
) -> None:
    rng = np.random.default_rng(11)
    sizes = np.full(clusters, items)
    covered = 0
    for _ in range(1500):
        yes = beta_binomial(rng, p, icc, sizes)
        e = clustered_proportion(yes, np.arange(clusters), size=sizes).estimate
        assert e.low is not None
        assert e.high is not None
        covered += e.low <= p <= e.high
    assert 0.93 <= covered / 1500 <= 0.975


def test_an_interval_that_ignored_the_prompts_would_be_too_narrow() -> None:
    rng = np.random.default_rng(11)
    sizes = np.full(80, 6)
    covered = 0
    for _ in range(500):
        p = beta_binomial(rng, 0.8, 0.3, sizes).sum() / 480
        low, high = wilson(p, 480, quantile=NORMAL_95)
        covered += low <= 0.8 <= high
    assert covered / 500 < 0.87


def test_for_a_share_of_what_is_decided_it_covers_no_worse_than_the_bootstrap() -> None:
    rng = np.random.default_rng(2)
    proportion = bootstrap = 0
    for _ in range(400):
        sizes = rng.binomial(4, 0.65, 20)  # how much of a prompt counts is random, as in S2
        yes = beta_binomial(rng, 0.85, 0.3, sizes)
        a = clustered_proportion(yes, np.arange(20), size=sizes).estimate
        b = cluster_bootstrap(np.stack([yes, sizes], axis=1), ratio, n=1, draws=500)
        proportion += a.low is not None and a.high is not None and a.low <= 0.85 <= a.high
        bootstrap += b.low is not None and b.high is not None and b.low <= 0.85 <= b.high
    assert proportion / 400 >= 0.925
    assert proportion >= bootstrap


def test_all_successes_still_leave_doubt_and_more_of_it_on_fewer_prompts() -> None:
    many = clustered_proportion(np.ones(60), np.arange(60)).estimate
    few = clustered_proportion(np.ones(60), np.arange(60) // 10).estimate
    assert many.value == many.high == few.value == few.high == 1.0
    assert many.low is not None
    assert few.low is not None
    assert 0 < few.low < many.low < 1


def test_prompts_that_happen_to_look_alike_do_not_narrow_the_interval() -> None:
    alike = clustered_proportion([1, 0] * 10, np.arange(20) // 2)
    assert alike.se_cr0 == 0
    assert alike.n_eff == 20


def test_nothing_to_count_gives_no_figure_and_says_why() -> None:
    result = clustered_proportion([], [], empty="no votes").estimate
    assert result.as_dict() == {"value": None, "low": None, "high": None, "n": 0}
    assert result.why == "no votes"
    assert list(result.as_dict()) == ["value", "low", "high", "n"]


def test_one_prompt_gives_a_figure_without_an_interval() -> None:
    result = clustered_proportion([1, 0, 1, 1], [7, 7, 7, 7]).estimate
    assert (result.value, result.low, result.high, result.n) == (0.75, None, None, 4)
    assert result.why is not None
    assert "one prompt" in result.why


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=40
    ),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_every_interval_holds_its_value_and_stays_inside_the_unit(
    rows: list[tuple[int, float]], level: float
) -> None:
    cluster, values = zip(*rows, strict=True)
    e = clustered_proportion(values, cluster, level=level).estimate
    assert e.value is not None
    assert 0 <= e.value <= 1
    if e.low is not None and e.high is not None:
        assert 0 <= e.low <= e.value <= e.high <= 1
        assert e.low < e.high
    else:
        assert len(set(cluster)) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 1)), min_size=1, max_size=30))
def test_a_difference_exchanges_its_ends_when_its_sides_are_exchanged(
    rows: list[tuple[int, int]],
) -> None:
    cluster, signs = (np.array(column) for column in zip(*rows, strict=True))
    there = clustered_difference(signs > 0, signs < 0, cluster)
    back = clustered_difference(signs < 0, signs > 0, cluster)
    assert there.value == pytest.approx(np.mean(signs))
    if there.low is not None and back.high is not None:
        assert there.low == pytest.approx(-back.high, abs=1e-9)
        assert there.low <= np.mean(signs) + 1e-12


def test_a_difference_between_two_unseen_events_keeps_a_width() -> None:
    never = np.zeros(100)
    e = clustered_difference(never, never, np.arange(100))
    assert e.value == 0
    assert e.low is not None
    assert -0.06 < e.low < -0.02


def test_a_clustered_difference_covers_the_truth() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(800):
        chances = rng.dirichlet([1.5, 0.6, 7.9], 40)
        signs = np.concatenate([rng.choice([1, -1, 0], 4, p=row) for row in chances])
        e = clustered_difference(signs > 0, signs < 0, np.repeat(np.arange(40), 4))
        assert e.low is not None
        assert e.high is not None
        covered += e.low <= 0.09 <= e.high
    assert 0.93 <= covered / 800 <= 0.985


@pytest.mark.parametrize(
    ("sums", "why"),
    [
        (np.zeros((0, 2)), "nothing to count"),
        (np.zeros((3, 2)), "not defined"),
        (np.array([[1, 2]]), "one prompt"),
        (np.array([[2, 2], [3, 3]]), "every resample"),
    ],
)
def test_the_bootstrap_says_why_it_gives_no_interval(sums: Floats, why: str) -> None:
    def defined_ratio(totals: Floats) -> Floats:
        missing = np.full(len(totals), np.nan)
        return np.divide(totals[:, 0], totals[:, 1], out=missing, where=totals[:, 1] > 0)

    result = cluster_bootstrap(sums, defined_ratio, n=5, draws=200)
    assert result.low is None
    assert result.high is None
    assert result.why is not None
    assert why in result.why


def test_statistics_of_the_same_resamples_are_those_of_each_alone() -> None:
    sums = np.stack([SUCCESSES, SIZES], axis=1)

    def both(totals: Floats) -> Floats:
        return np.stack([ratio(totals), totals[:, 0]], axis=1)

    together = cluster_bootstraps(sums, both, n=32, draws=300)
    alone = cluster_bootstrap(sums, ratio, n=32, draws=300)
    assert together[0] == alone
    assert together[1] == cluster_bootstrap(sums, lambda totals: totals[:, 0], n=32, draws=300)


def test_no_clusters_give_no_value_even_of_a_statistic_that_is_defined_on_nothing() -> None:
    nothing = cluster_bootstrap(np.zeros((0, 2)), ratio, n=0)
    assert (nothing.value, nothing.why) == (None, "nothing to count")
