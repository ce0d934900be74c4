"""Win rates and the inference behind them, against published vectors and by simulation."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import FIRST, TIE
from calibration.inference import WinRate, WinRates, rogan_gladen, win_rates
from calibration.intervals import Estimate, clustered_proportion
from calibration.prediction_powered import PredictionPowered, equivalent_labels, ppi_mean

VECTORS = json.loads((Path(__file__).parent / "cases" / "statistics_vectors.json").read_text())


def ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def width(estimate: Estimate) -> float:
    low, high = ends(estimate)
    return high - low


def scored(
    agreeing: tuple[int, int], opposing: tuple[int, int], judged: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items as (human 1, human 0) where the judge says 1, where it says 0; judged alone (1, 0)."""
    human = np.repeat([1, 0, 1, 0, 0], [*agreeing, *opposing, sum(judged)])
    judge = np.repeat([1, 0, 1, 0], [sum(agreeing), sum(opposing), *judged])
    return human, judge, np.arange(len(human)) < sum(agreeing) + sum(opposing)


def independent(weight: float | None, *, small_sample: bool = False) -> PredictionPowered:
    human, judge, has_human = scored((18, 4), (3, 15), (240, 160))
    return ppi_mean(
        human,
        judge,
        has_human=has_human,
        cluster=np.arange(len(human)),
        weight=weight,
        small_sample=small_sample,
    )


@pytest.mark.parametrize(("name", "weight"), [("0", 0.0), ("1", 1.0), ("None", None)])
def test_the_prediction_powered_mean_matches_the_published_vectors(
    name: str, weight: float | None
) -> None:
    vector = VECTORS[f"ppi/{name}"]
    estimate = independent(weight).estimate
    assert (estimate.value, *ends(estimate)) == pytest.approx(vector["expected"], abs=vector["tol"])
    assert estimate.n == 40


def test_the_tuned_weight_matches_the_published_one() -> None:
    assert independent(None).weights == pytest.approx((0.607160,), abs=1e-6)


def test_few_labels_widen_the_interval_beyond_that_of_large_samples() -> None:
    large, small = independent(None), independent(None, small_sample=True)
    assert small.estimate.value == pytest.approx(large.estimate.value)
    assert width(small.estimate) == pytest.approx(0.249006, abs=1e-6)
    assert width(small.estimate) > width(large.estimate)


def test_strata_match_the_published_vector() -> None:
    strata = [scored((12, 2), (1, 5), (180, 120)), scored((6, 5), (4, 5), (50, 50))]
    human, judge, has_human = (np.concatenate(column) for column in zip(*strata, strict=True))
    stratum = np.repeat([0, 1], [320, 120])

    def found(weight: tuple[float, float] | None) -> PredictionPowered:
        return ppi_mean(
            human,
            judge,
            has_human=has_human,
            cluster=np.arange(440),
            stratum=stratum,
            shares=(0.75, 0.25),
            weight=weight,
            small_sample=False,
        )

    given_weights = found((0.569465, 0.083356))
    assert given_weights.se == pytest.approx(0.067747, abs=1e-6)
    assert (given_weights.estimate.value, *ends(given_weights.estimate)) == pytest.approx(
        (0.568748, 0.435966, 0.701530), abs=2e-6
    )
    # The vector divides the pooled variance by n, not n - 1, when it tunes.
    assert found(None).weights == pytest.approx((0.569465, 0.083356), rel=0.01)


def test_a_stratum_without_human_scores_gives_no_estimate() -> None:
    found = ppi_mean(
        np.ones(4),
        np.ones(4),
        has_human=np.array([True, True, False, False]),
        cluster=np.arange(4),
        stratum=np.array([0, 0, 1, 1]),
    )
    assert found.estimate.value is None
    assert found.estimate.why == "a stratum has no human score; merge it with another"


@pytest.mark.parametrize(("rho", "n"), [(0.3, 353), (0.5, 295), (0.64, 235), (0.8, 146)])
def test_a_judge_saves_the_labels_that_the_table_says(rho: float, n: int) -> None:
    assert equivalent_labels(n, 5000, correlation=rho) == pytest.approx(385, abs=1.5)
    assert equivalent_labels(n - 1, 5000, correlation=rho) < 385


def test_misclassification_correction_matches_the_published_vector() -> None:
    vector = VECTORS["rogan_gladen"]
    estimate = rogan_gladen(240, 400, sensitivity=(18, 21), specificity=(15, 19))
    assert (estimate.value, *ends(estimate)) == pytest.approx(vector["expected"], abs=vector["tol"])


@pytest.mark.parametrize(
    ("sensitivity", "specificity"),
    [((11, 20), (12, 20)), ((2, 20), (3, 20)), ((0, 0), (9, 10)), ((9, 10), (0, 0))],
)
def test_a_judge_near_chance_is_not_corrected(
    sensitivity: tuple[int, int], specificity: tuple[int, int]
) -> None:
    estimate = rogan_gladen(50, 100, sensitivity=sensitivity, specificity=specificity)
    assert (estimate.value, estimate.low) == (None, None)
    assert estimate.why


@given(st.integers(0, 2**32 - 1))
def test_exchanging_the_sides_of_every_item_mirrors_the_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    human, judge = rng.integers(0, 3, 60) / 2, rng.random(60)
    has_human, cluster = rng.random(60) < 0.4, rng.integers(0, 12, 60)
    one = ppi_mean(human, judge, has_human=has_human, cluster=cluster).estimate
    other = ppi_mean(1 - human, 1 - judge, has_human=has_human, cluster=cluster).estimate
    mirrored = other.complement()
    for end in ("value", "low", "high"):
        assert getattr(one, end) == pytest.approx(getattr(mirrored, end), abs=1e-9)


# ----------------------------------------------------------------------------------------------
# coverage


def simulated(
    rng: np.random.Generator, *, prompts: int, pairs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Human votes and soft scores of a judge who leans; items of a prompt resemble each other."""
    quality = rng.normal(size=prompts).repeat(pairs) * 0.8 + rng.normal(size=prompts * pairs)
    human = quality + rng.normal(size=len(quality)) * 0.7 > 0.3
    leaning = 0.5 + rng.normal(size=prompts).repeat(pairs) * 0.5
    judge = 1 / (1 + np.exp(-(2 * quality + leaning)))
    return human.astype(float), judge, np.arange(prompts).repeat(pairs)


@pytest.mark.parametrize(("labelled", "per_prompt"), [(30, 4), (60, 2)])
def test_the_clustered_interval_covers_the_truth_and_is_narrower_than_the_humans(
    labelled: int, per_prompt: int
) -> None:
    rng = np.random.default_rng(7)
    # P(N(0.3, 0.64 + 1 + 0.49) < 0): the share of human wins in this design.
    truth, runs = 0.418566, 1000
    covered = narrower = 0
    for _ in range(runs):
        human, judge, prompt = simulated(rng, prompts=300, pairs=4)
        has_human = (prompt < labelled) & (np.arange(len(human)) % 4 < per_prompt)
        found = ppi_mean(human, judge, has_human=has_human, cluster=prompt).estimate
        own = clustered_proportion(human[has_human], prompt[has_human]).estimate
        low, high = ends(found)
        covered += low <= truth <= high
        narrower += width(found) < width(own)
    assert 0.93 <= covered / runs <= 0.97
    assert narrower / runs > 0.95


# ----------------------------------------------------------------------------------------------
# degenerate input


def test_a_judge_that_few_votes_never_contradict_is_not_taken_for_perfect() -> None:
    human, judge, has_human = scored((6, 0), (0, 4), (600, 400))
    found = ppi_mean(human, judge, has_human=has_human, cluster=np.arange(1010))
    naive = clustered_proportion(judge, np.arange(1010)).estimate
    assert width(found.estimate) > 5 * width(naive)
    assert found.equivalent_labels is not None
    assert 10 < found.equivalent_labels < 100


@pytest.mark.parametrize("prompts", [1, 2, 3])
@pytest.mark.parametrize("human", [[1, 1, 1], [1, 0, 1], [0.5, 0.5, 0.5]])
@pytest.mark.parametrize("others", [0, 1, 9])
def test_tiny_samples_give_a_wide_interval_or_say_why(
    prompts: int, human: list[float], others: int
) -> None:
    scores = np.array([*human, *[0.0] * others])
    found = ppi_mean(
        scores,
        np.tile([1.0, 0.0, 1.0, 1.0], 3)[: len(scores)],
        has_human=np.arange(len(scores)) < 3,
        cluster=np.concatenate([np.arange(3) % prompts, 5 + np.arange(others)]),
    ).estimate
    assert found.value is not None
    if prompts == 1:
        assert found.low is None
        assert found.why
    else:
        assert width(found) > 0.3


def test_without_human_scores_there_is_no_mean() -> None:
    nothing = np.zeros(0)
    for columns in ((nothing, nothing), (np.ones(3), np.ones(3))):
        has_human = np.zeros(len(columns[0]), bool)
        found = ppi_mean(*columns, has_human=has_human, cluster=np.arange(len(has_human)))
        assert found.estimate == Estimate(None, None, None, 0, "no item has a human score")


# ----------------------------------------------------------------------------------------------
# win rates


def rates_of(
    pairs: list[tuple[int, int, int, list[int]]],
    *,
    names: tuple[str | None, ...] = ("old", "new"),
    probability: list[float] | None = None,
    most: int = 100,
) -> WinRates:
    """Pairs as (first system, second system, label, votes), each its own prompt."""
    votes = np.array([[v.count(c) for c in (-1, 0, 1)] for *_, v in pairs], float).reshape(-1, 3)
    return win_rates(
        np.array([pair[2] for pair in pairs], np.int8),
        votes,
        has_label=np.ones(len(pairs), bool),
        cluster=np.arange(len(pairs)),
        first_system=np.array([pair[0] for pair in pairs], int),
        second_system=np.array([pair[1] for pair in pairs], int),
        names=names,
        probability=None if probability is None else np.array(probability),
        has_probability=None if probability is None else np.ones(len(pairs), bool),
        most=most,
    )


def test_a_win_counts_for_its_system_on_either_side() -> None:
    found = rates_of([(0, 1, FIRST, [1, 1, -1]), (1, 0, -FIRST, []), (0, 1, TIE, [0, 1])])
    old, new = found["old"], found["new"]
    assert old.judge.value == pytest.approx((1 + 1 + 0.5) / 3)
    assert new.judge.value == pytest.approx(0.5 / 3)
    assert old.humans.value == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert (old.judge.n, old.humans.n) == (3, 2)
    assert new.humans.value == pytest.approx(1 - (2 / 3 + 3 / 4) / 2)


def test_the_correction_undoes_a_judge_that_favours_one_system() -> None:
    rng = np.random.default_rng(3)
    pairs = []
    for row in range(2000):
        is_better = bool(rng.random() < 0.4)
        says = is_better or rng.random() < 0.3
        votes = [1 if is_better else -1] if row % 10 == 0 else []
        pairs.append((0, 1, 1 if says else -1, votes))
    found = rates_of(pairs)["old"]
    assert found.judge.low is not None
    assert found.judge.low > 0.5
    low, high = ends(found.corrected)
    assert low < 0.4 < high
    assert width(found.corrected) < 0.85 * width(found.humans)
    assert found.equivalent_labels is not None
    assert found.equivalent_labels > 1.5 * found.humans.n


def test_the_correction_follows_probabilities_where_there_are_any() -> None:
    rng = np.random.default_rng(4)
    strength = rng.random(1500)
    pairs = [
        (0, 1, 1 if p > 0.5 else -1, [1 if rng.random() < p else -1] if row % 10 == 0 else [])
        for row, p in enumerate(strength)
    ]
    hard, soft = rates_of(pairs)["old"], rates_of(pairs, probability=strength.tolist())["old"]
    assert soft.judge == hard.judge
    assert width(soft.corrected) < width(hard.corrected)


def test_a_system_is_not_told_by_pairs_with_itself_nor_when_unknown() -> None:
    found = rates_of(
        [(0, 0, FIRST, [1]), (0, 1, FIRST, [1]), (2, 1, FIRST, [1])], names=("old", None, "none")
    )
    assert list(found) == ["old", "none"]
    assert found["old"].judge.n == 1
    assert list(rates_of([(0, 1, 1, []), (0, 2, 1, [])], names=("a", "b", "c"), most=1)) == ["a"]


def test_a_system_without_votes_or_labels_says_so() -> None:
    found = rates_of([(0, 1, FIRST, [])], names=("old", "new", "idle"))
    assert found["old"].judge.value == 1
    for figure in (found["old"].humans, found["old"].corrected):
        assert figure.value is None
        assert figure.why == "no human vote on a labelled pair of this system"
    assert found["idle"].judge.why == "the judge labelled no pair of this system"
    assert rates_of([], names=()) == {}


def test_with_votes_on_every_pair_nothing_is_left_to_correct() -> None:
    found = rates_of([(0, 1, 1, [1]), (0, 1, -1, [1]), (0, 1, 1, [-1]), (1, 0, 1, [0])])["new"]
    assert isinstance(found, WinRate)
    assert found.corrected == found.humans
    assert found.equivalent_labels == 4
