"""Sample sizes: every published number, the exact tails behind them, and simulated power."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.certificates import certify
from calibration.intervals import t_quantile, wilson
from calibration.layout import (
    Layout,
    cautious_effect,
    design_effect,
    discordance,
    few_prompts_factor,
    observed_layout,
)
from calibration.planning import (
    detectable_difference,
    items_for_half_width,
    items_to_certify,
    items_to_compare,
    labels_beside_judge,
    prompts_for,
    prompts_for_half_width,
    prompts_to_certify,
    zero_failure_items,
)

Shares = st.floats(0.3, 0.97)


@pytest.mark.parametrize(
    ("target", "truth", "at_80", "at_90"),
    [
        (0.70, 0.75, (501, 368), (691, 504)),
        (0.70, 0.80, (119, 92), (164, 125)),
        (0.75, 0.80, (437, 343), (604, 471)),
        (0.75, 0.85, (103, 85), (139, 113)),
        (0.80, 0.85, (365, 305), (501, 416)),
        (0.80, 0.90, (82, 72), (112, 97)),
        (0.85, 0.90, (281, 249), (379, 334)),
        (0.90, 0.95, (179, 168), (239, 223)),
    ],
)
def test_the_first_n_that_reaches_the_power_is_the_published_one(
    target: float, truth: float, at_80: tuple[int, int], at_90: tuple[int, int]
) -> None:
    for power, expected in ((0.8, at_80), (0.9, at_90)):
        size = items_to_certify(target, truth, power=power)
        assert size is not None
        assert (size.items, size.pass_mark) == expected
        assert size.power >= power


@pytest.mark.parametrize(
    ("share", "items"),
    [
        (0.65, (84, 347, 968, 2182)),
        (0.80, (60, 245, 682, 1535)),
        (0.85, (49, 196, 545, 1225)),
        (0.90, (37, 141, 388, 868)),
    ],
)
def test_the_items_for_a_half_width_are_the_published_ones(
    share: float, items: tuple[int, ...]
) -> None:
    assert tuple(items_for_half_width(share, w) for w in (0.1, 0.05, 0.03, 0.02)) == items


@pytest.mark.parametrize(("target", "items"), [(0.80, 14), (0.85, 19), (0.90, 29), (0.95, 59)])
def test_so_many_items_certify_if_none_disagrees(target: float, items: int) -> None:
    assert zero_failure_items(target) == items
    assert items_to_certify(target, 1.0) == items_to_certify(target, 1.0, power=0.99)
    size = items_to_certify(target, 1.0)
    assert size is not None
    assert (size.items, size.pass_mark, size.power) == (items, items, 1.0)


@pytest.mark.parametrize(
    ("discordance", "difference", "items"),
    [(0.2, 0.05, 626), (0.3, 0.05, 940), (0.2, 0.1, 155), (0.3, 0.1, 234), (0.15, 0.03, 1306)],
)
def test_the_items_of_a_paired_comparison_are_the_published_ones(
    discordance: float, difference: float, items: int
) -> None:
    assert items_to_compare(difference, discordance) == items
    told = detectable_difference(items, discordance)
    missed = detectable_difference(items - 1, discordance)
    assert told is not None
    assert missed is not None
    assert told <= difference < missed


@pytest.mark.parametrize(
    ("correlation", "labels"), [(0.3, 353), (0.5, 295), (0.64, 235), (0.8, 146)]
)
def test_a_judge_saves_the_published_number_of_labels(correlation: float, labels: int) -> None:
    assert labels_beside_judge(385, 5000, correlation=correlation) == labels


def test_a_judge_that_knows_nothing_saves_no_label() -> None:
    assert labels_beside_judge(385, 5000, correlation=0) == 385


@pytest.mark.parametrize(("per_prompt", "effect"), [(4, 1.9), (6, 2.5), (15, 5.2), (1, 1.0)])
def test_the_design_effect_is_the_published_one(per_prompt: int, effect: float) -> None:
    assert design_effect(per_prompt, 0.3) == pytest.approx(effect)
    assert design_effect(per_prompt, -0.05) == 1


def test_a_truth_at_or_below_the_target_is_never_certified() -> None:
    assert items_to_certify(0.8, 0.8) is None
    assert items_to_certify(0.8, 0.7) is None
    assert prompts_to_certify(0.8, 0.8, layout=Layout(4, 1.9)) is None


def test_a_truth_too_close_to_the_target_is_out_of_reach() -> None:
    assert items_to_certify(0.8, 0.8001) is None
    size = items_to_certify(0.8, 0.802)
    assert size is not None
    assert size.items > 100_000
    assert size.power == pytest.approx(0.8, abs=0.002)


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, 1.5])
def test_a_target_that_is_no_share_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="give a share between 0 and 1"):
        items_to_certify(target, 0.9)


def test_too_few_items_tell_no_difference_at_all() -> None:
    assert detectable_difference(5, 0.2) is None
    assert detectable_difference(0, 0.2) is None
    assert detectable_difference(100, 0) is None


@given(Shares, st.floats(0.01, 0.3))
def test_one_item_less_would_leave_the_interval_too_wide(share: float, half_width: float) -> None:
    def half(n: int) -> float:
        spread = 1.959963984540054**2 / n
        return math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)

    n = items_for_half_width(share, half_width)
    assert half(n) <= half_width + 1e-9
    assert n == 1 or half(n - 1) > half_width - 1e-9


@given(st.floats(0.5, 0.93), st.floats(0.02, 0.06), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_pass_mark_is_the_least_that_keeps_the_error(
    target: float, gap: float, confidence: float
) -> None:
    from scipy.special import bdtrc

    size = items_to_certify(target, target + gap, confidence=confidence)
    assert size is not None
    k, n = size.pass_mark, size.items
    assert bdtrc(k - 1, n, target) <= 1 - confidence < bdtrc(k - 2, n, target)


def test_prompts_for_a_half_width_allow_for_few_prompts() -> None:
    layout = Layout(per_prompt=4, deff=1.9)
    prompts = prompts_for_half_width(0.85, 0.1, layout=layout)
    assert prompts > prompts_for(49, layout=layout)
    n_eff = prompts * 4 / 1.9
    low, high = wilson(0.85, n_eff, quantile=t_quantile(0.95, prompts - 1))
    assert (high - low) / 2 <= 0.1


def test_one_item_per_prompt_needs_as_many_prompts_as_items() -> None:
    assert prompts_to_certify(0.8, 0.85, layout=Layout()) == 365
    assert prompts_for(365, layout=Layout(4, 1.9)) == 174


@pytest.mark.parametrize(
    ("items", "icc", "target", "truth"), [(4, 0.3, 0.8, 0.9), (6, 0.1, 0.85, 0.9)]
)
def test_a_plan_reaches_the_power_it_promises(
    items: int, icc: float, target: float, truth: float
) -> None:
    layout = Layout(items, design_effect(items, icc))
    prompts = prompts_to_certify(target, truth, layout=layout)
    assert prompts is not None
    rng = np.random.default_rng(5)
    cluster, strength = np.repeat(np.arange(prompts), items), (1 - icc) / icc
    label = np.ones(prompts * items, np.int8)
    granted = 0
    for _ in range(300):
        each = np.repeat(rng.beta(truth * strength, (1 - truth) * strength, prompts), items)
        votes = np.zeros((len(label), 3))
        votes[np.arange(len(label)), np.where(rng.random(len(label)) < each, 2, 0)] = 1
        granted += certify(label, votes, cluster=cluster, target=target).is_granted
    assert 0.75 <= granted / 300 <= 0.92


# ----------------------------------------------------------------------------------------------
# how items lie on prompts


def test_the_observed_layout_is_that_of_the_published_vector() -> None:
    sizes = np.array([4.0, 4, 3, 5, 4, 4, 2, 6])
    yes = np.array([4.0, 3, 0, 4, 4, 1, 2, 5])
    p = yes.sum() / sizes.sum()
    layout = observed_layout(yes - p * sizes, sizes, variance=p * (1 - p))
    assert layout.per_prompt == 4
    assert layout.deff == pytest.approx(1.803442 * 8 / 7, abs=1e-5)
    assert layout.typical == pytest.approx(138 / 32)
    assert not layout.is_independent


def test_one_item_per_prompt_is_independent() -> None:
    layout = observed_layout(np.array([0.25, 0.25, 0.25, -0.75]), np.ones(4), variance=3 / 16)
    assert layout == Layout(1, 1, 1)
    assert layout.is_independent


def test_items_that_never_differ_count_as_copies_of_their_prompt() -> None:
    layout = observed_layout(np.zeros(3), np.array([2.0, 4.0, 6.0]), variance=0)
    assert layout.deff == pytest.approx(56 / 12)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(1, 8)), min_size=2, max_size=30).map(
        lambda rows: [(min(yes, size), size) for yes, size in rows]
    )
)
def test_the_cautious_effect_equals_that_of_the_prompts_with_one_more(
    rows: list[tuple[int, int]],
) -> None:
    yes, sizes = (np.array(x, float) for x in zip(*rows, strict=True))
    n, squares = sizes.sum(), sizes @ sizes
    share, typical = yes.sum() / n, squares / n
    residuals = yes - share * sizes
    effect = cautious_effect(
        n=n, share=share, squares=squares, typical=typical,
        residuals=residuals @ residuals, cross=residuals @ sizes,
    )  # fmt: skip
    more, all_sizes = np.append(yes, 0), np.append(sizes, typical)
    p = more.sum() / all_sizes.sum()
    spread = float(np.sum((more - p * all_sizes) ** 2))
    expected = spread / (all_sizes.sum() * p * (1 - p)) if 0 < p < 1 else 1.0
    assert effect == pytest.approx(max(1.0, expected))


def test_few_prompts_leave_less_of_n() -> None:
    assert few_prompts_factor(20, confidence=0.95) == pytest.approx((1.644854 / 1.729133) ** 2)
    factors = [few_prompts_factor(g, confidence=0.95) for g in (2, 5, 20, 1000)]
    assert factors == sorted(factors)
    assert factors[-1] == pytest.approx(1, abs=0.005)


def test_discordance_counts_votes_that_exactly_one_judge_agrees_with() -> None:
    one, other = np.array([1, 1, -1, 0], np.int8), np.array([1, -1, 1, 0], np.int8)
    votes = np.array([[1, 0, 2], [1, 1, 1], [0, 0, 1], [0, 0, 0]], float)
    found = discordance(one, other, votes, cluster=np.array([1, 1, 2, 3]))
    assert found is not None
    assert (found.share, found.n) == (3 / 7, 7)
    back = discordance(other, one, votes, cluster=np.array([1, 1, 2, 3]))
    assert back == found


def test_discordance_needs_two_prompts_with_votes() -> None:
    label, votes = np.ones(2, np.int8), np.array([[0, 0, 1], [0, 0, 0]], float)
    assert discordance(label, label, votes, cluster=np.array([1, 2])) is None
    votes[1, 2] = 1
    same = discordance(label, label, votes, cluster=np.array([1, 2]))
    assert same is not None
    assert same.share == 0
