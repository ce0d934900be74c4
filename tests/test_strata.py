"""Agreement on parts of the pairs, and of each annotator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import (
    VoteColumns,
    human_human_agreement,
    judge_agreement,
    leave_one_out_agreement,
)
from calibration.strata import (
    Stratification,
    StratumFigures,
    annotator_figures,
    by_batch,
    length_gap,
    quality_gap,
    stratify,
)

N_PAIRS, N_PROMPTS = 240, 40


def votes_of(rows: list[tuple[int, int, int]]) -> VoteColumns:
    """Votes as (pair, annotator, choice)."""
    pair, annotator, choice = (np.array(column, dtype=int) for column in zip(*rows, strict=True))
    return VoteColumns(pair, annotator, choice.astype(np.int8))


NO_VOTES = VoteColumns(np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.int8))


def some_votes(seed: int, *, n: int = 900) -> VoteColumns:
    rng = np.random.default_rng(seed)
    return VoteColumns(
        rng.integers(0, N_PAIRS, n),
        rng.integers(0, 7, n) * 10,
        rng.integers(-1, 2, n).astype(np.int8),
    )


def some_labels(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(-1, 2, N_PAIRS).astype(np.int8)
    return label, rng.random(N_PAIRS) < 0.9, rng.integers(0, N_PROMPTS, N_PAIRS)


def parts_of(seed: int, parts: int) -> Stratification:
    codes = np.random.default_rng(seed).integers(0, parts, N_PAIRS)
    return Stratification(codes, tuple(f"part {code}" for code in range(parts)))


def test_each_part_has_the_figures_of_its_pairs_alone() -> None:
    (label, has_label, cluster), votes = some_labels(0), some_votes(1)
    parting = parts_of(2, 3)
    found = stratify(
        label, votes, has_label=has_label, cluster=cluster, strata={"language": parting}
    )["language"]
    assert list(found) == ["part 0", "part 1", "part 2"]
    for code, figures in enumerate(found.values()):
        rows = (parting.codes == code) & has_label
        tally = votes.counts(N_PAIRS)
        judge = judge_agreement(label[rows], tally[rows], cluster=cluster[rows])
        humans = human_human_agreement(votes.on(rows), cluster)
        assert figures.s1 == judge.s1.micro
        assert figures.s2 == judge.s2.micro
        assert figures.humans_s1 == humans.s1
        assert figures.humans_s2 == humans.s2
        voted = rows & (tally.sum(axis=1) > 0)
        assert figures.pairs == int(voted.sum())
        assert figures.prompts == len(np.unique(cluster[voted]))


@given(st.integers(0, 2**32 - 1))
def test_swapping_every_answer_changes_no_figure(seed: int) -> None:
    (label, has_label, cluster), votes = some_labels(seed), some_votes(seed + 1)
    swapped = VoteColumns(votes.pair, votes.annotator, -votes.choice)
    strata = {"tag": parts_of(seed, 4)}
    as_is = stratify(label, votes, has_label=has_label, cluster=cluster, strata=strata)
    turned = stratify(-label, swapped, has_label=has_label, cluster=cluster, strata=strata)
    assert as_is == turned
    assert np.array_equal(quality_gap(votes, N_PAIRS).codes, quality_gap(swapped, N_PAIRS).codes)
    assert annotator_figures(votes, cluster) == annotator_figures(swapped, cluster)


def test_a_figure_on_few_votes_or_few_prompts_is_not_shown() -> None:
    label = np.ones(60, np.int8)
    cluster = np.concatenate([np.arange(30) % 4, np.arange(30)])
    rows = [(pair, 0, 1) for pair in range(30)] + [(pair, 0, 1) for pair in range(30, 49)]
    parting = Stratification((np.arange(60) >= 30).astype(int), ("few prompts", "few votes"))
    found = stratify(
        label,
        votes_of(rows),
        has_label=np.ones(60, bool),
        cluster=cluster,
        strata={"q": parting},
    )["q"]
    prompts, votes = found["few prompts"], found["few votes"]
    assert (prompts.pairs, prompts.prompts, prompts.s1.n) == (30, 4, 30)
    assert prompts.s1.value is None
    assert prompts.s1.why == "too few to show: 30 on 4 prompts, not 20 on 5"
    assert votes.s1.value is None
    assert votes.s1.why == "too few to show: 19 on 19 prompts, not 20 on 5"
    assert votes.humans_s1.why == "no pair has votes by two annotators"
    enough = stratify(
        label,
        votes_of([*rows, (49, 0, 1)]),
        has_label=np.ones(60, bool),
        cluster=cluster,
        strata={"q": parting},
    )["q"]["few votes"]
    assert (enough.s1.value, enough.s1.n, enough.s1.why) == (1, 20, None)


def test_rare_parts_become_one_and_no_vote_is_lost() -> None:
    (label, has_label, cluster), votes = some_labels(3), some_votes(4)
    parting = parts_of(5, 60)
    found = stratify(
        label, votes, has_label=has_label, cluster=cluster, strata={"topic": parting}, most=8
    )["topic"]
    assert len(found) == 9
    assert list(found)[-1] == "(52 others)"
    assert sum(figures.s1.n for figures in found.values()) == int(has_label[votes.pair].sum())
    kept = [figures.s1.n for figures in list(found.values())[:-1]]
    tally = votes.counts(N_PAIRS).sum(axis=1) * has_label
    by_part = np.sort(np.bincount(parting.codes, tally, minlength=60))[::-1]
    assert sorted(kept, reverse=True) == by_part[:8].astype(int).tolist()


def test_pairs_that_a_question_does_not_apply_to_are_in_no_part() -> None:
    (label, has_label, cluster), votes = some_labels(6), some_votes(7)
    parting = Stratification(np.arange(N_PAIRS) % 2, ("poem", None))
    found = stratify(label, votes, has_label=has_label, cluster=cluster, strata={"form": parting})[
        "form"
    ]
    assert list(found) == ["poem"]
    applies = has_label & (parting.codes == 0)
    assert found["poem"].s1.n == int(applies[votes.pair].sum())


@pytest.mark.parametrize(
    ("votes", "has_label"),
    [(NO_VOTES, np.ones(6, bool)), (votes_of([(0, 0, 1), (0, 1, 1)]), np.zeros(6, bool))],
)
def test_without_votes_on_labels_every_figure_says_why(
    votes: VoteColumns, has_label: np.ndarray
) -> None:
    found = stratify(
        np.zeros(6, np.int8),
        votes,
        has_label=has_label,
        cluster=np.zeros(6, int),
        strata={"q": Stratification(np.zeros(6, int), ("all", "none"))},
    )["q"]
    for figures in found.values():
        assert isinstance(figures, StratumFigures)
        assert (figures.pairs, figures.prompts, figures.s1.value) == (0, 0, None)
        assert figures.s1.why == "no human vote on a labelled pair"


def test_no_pairs_and_no_parts_are_no_error() -> None:
    none = np.zeros(0, int)
    found = stratify(
        none.astype(np.int8),
        NO_VOTES,
        has_label=none.astype(bool),
        cluster=none,
        strata={"q": Stratification(none, ("a", None)), "r": Stratification(none, (None,))},
    )
    assert found["q"]["a"].pairs == 0
    assert found["r"] == {}
    assert annotator_figures(NO_VOTES, none) == {}


def test_the_quality_gap_is_the_humans_margin() -> None:
    votes = votes_of(
        [
            *[(0, 0, 1), (0, 1, -1)],
            *[(1, 0, 0), (1, 1, 0)],
            *[(2, 0, 1), (2, 1, 0)],
            *[(3, 0, -1), (3, 1, -1), (3, 2, 1)],
            *[(4, 0, -1), (4, 1, -1)],
            (5, 0, 1),
        ]
    )
    gap = quality_gap(votes, 7)
    assert [gap.names[code] for code in gap.codes] == [
        "humans even",
        "humans even",
        "humans lean",
        "humans lean",
        "humans unanimous",
        None,
        None,
    ]


def test_the_length_gap_is_relative_to_the_longer_answer() -> None:
    first = np.array([100, 90, 89, 50, 49, 0, 0, 1000])
    second = np.array([100, 100, 100, 100, 100, 0, 10, 905])
    gap = length_gap(first, second)
    assert [gap.names[code] for code in gap.codes] == [
        "within 10 %",
        "within 10 %",
        "10 to 50 %",
        "10 to 50 %",
        "over 50 %",
        "within 10 %",
        "over 50 %",
        "within 10 %",
    ]
    assert np.array_equal(gap.codes, length_gap(second, first).codes)


def test_annotators_add_up_to_leave_one_out_agreement() -> None:
    (_, _, cluster), votes = some_labels(8), some_votes(9)
    found = annotator_figures(votes, cluster)
    assert sorted(found) == [0, 10, 20, 30, 40, 50, 60]
    cast = [figures.votes for figures in found.values()]
    assert cast == sorted(cast, reverse=True)
    assert sum(cast) == 900
    whole = leave_one_out_agreement(votes, cluster)
    for kind in ("s1", "s2"):
        parts = [getattr(figures, kind) for figures in found.values()]
        total = getattr(whole, kind)
        assert sum(part.n for part in parts) == total.n
        assert sum(part.value * part.n for part in parts) == pytest.approx(total.value * total.n)


def test_an_annotator_against_the_rest_stands_out() -> None:
    rows = [(pair, who, 1) for pair in range(40) for who in (0, 1, 2)]
    rows += [(pair, 3, -1) for pair in range(30)]
    found = annotator_figures(votes_of(rows), np.arange(40) // 2)
    assert list(found) == [0, 1, 2, 3]
    assert found[3].s1.value == 0
    assert found[0].s1.value == 1
    assert list(annotator_figures(votes_of(rows), np.arange(40) // 2, most=2)) == [0, 1]


def test_one_annotator_alone_is_compared_with_nobody() -> None:
    found = annotator_figures(votes_of([(pair, 5, 1) for pair in range(30)]), np.arange(30))
    assert found[5].votes == 30
    assert found[5].s1.value is None
    assert found[5].s1.why == "no pair has votes by two annotators"


def test_each_batch_of_votes_has_its_own_figures_and_drift_shows() -> None:
    rng = np.random.default_rng(3)
    n = 200
    label = rng.choice([1, -1], n).astype(np.int8)
    pair = np.repeat(np.arange(n), 2)
    batch = np.tile([0, 1], n)
    wrong = rng.random(2 * n) < np.where(batch == 0, 0.1, 0.4)
    choice = np.where(wrong, -label[pair], label[pair]).astype(np.int8)
    votes = VoteColumns(pair, batch, choice, batch=batch)
    everywhere = np.ones(n, bool)
    found = by_batch(
        label, votes, has_label=everywhere, cluster=np.arange(n), names=("march", "april")
    )
    assert list(found) == ["march", "april"]
    assert found["march"].s1.value == pytest.approx(1 - wrong[batch == 0].mean())
    assert found["april"].s1.value == pytest.approx(1 - wrong[batch == 1].mean())
    assert found["march"].s1.low is not None
    assert found["april"].s1.high is not None
    assert found["march"].s1.low > found["april"].s1.high


def test_one_batch_or_none_is_no_breakdown() -> None:
    votes = VoteColumns(np.arange(3), np.zeros(3, int), np.ones(3, np.int8), batch=np.zeros(3, int))
    label, everywhere, prompts = np.ones(3, np.int8), np.ones(3, bool), np.arange(3)
    for names in (("only",), (None,), ()):
        assert not by_batch(label, votes, has_label=everywhere, cluster=prompts, names=names)
