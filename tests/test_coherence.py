"""Whether a judge's verdicts fit together, against a count of every triple by hand."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.coherence import NO_TOURNAMENT, NO_TRIPLE, Coherence, coherence

Row = tuple[int, int, int, int | None]
"""Prompt, first answer, second answer, label: 1, 0, -1 or none."""


def coherence_of(rows: Sequence[Row]) -> Coherence:
    prompt, first, second = (np.array([row[at] for row in rows], np.intp) for at in range(3))
    return coherence(
        np.array([row[3] or 0 for row in rows], np.int8),
        np.array([row[3] is not None for row in rows], bool),
        first_answer=first,
        second_answer=second,
        cluster=prompt,
    )


def winners(text: str, prompt: int = 0) -> list[Row]:
    """Rows from e.g. "ab:a": both answers, then the one preferred."""
    return [
        (prompt, ord(said[0]), ord(said[1]), 1 if said[3] == said[0] else -1)
        for said in text.split()
    ]


def test_the_published_tournament_has_one_circle_in_four_triples() -> None:
    found = coherence_of(winners("ab:a bc:b ac:c ad:a bd:b cd:c"))
    assert (found.cycles.value, found.cycles.n) == (0.25, 4)
    assert found.zeta.value == pytest.approx(0.5)


@pytest.mark.parametrize("answers", [3, 4, 5, 8])
def test_a_judge_with_one_ranking_never_goes_in_a_circle(answers: int) -> None:
    rows = [(p, a, b, 1) for p in range(3) for a, b in combinations(range(answers), 2)]
    found = coherence_of(rows)
    assert (found.cycles.value, found.zeta.value, found.zeta.n) == (0, 1, 3)
    assert found.cycles.high is not None
    assert 0 < found.cycles.high < 1


@pytest.mark.parametrize(("answers", "circles"), [(3, 1), (4, 2), (5, 5), (7, 14)])
def test_as_many_circles_as_can_be_is_a_consistence_of_zero(answers: int, circles: int) -> None:
    rows: list[Row] = [
        (0, a, b, 1 if (b - a) <= answers // 2 else -1) for a, b in combinations(range(answers), 2)
    ]
    found = coherence_of(rows)
    assert found.cycles.value == pytest.approx(
        circles / (answers * (answers - 1) * (answers - 2) / 6)
    )
    assert found.zeta.value == pytest.approx(0, abs=1e-12)


def test_a_coin_goes_in_a_circle_a_quarter_of_the_time() -> None:
    rng = np.random.default_rng(5)
    rows = [
        (p, a, b, int(rng.choice([1, -1])))
        for p in range(300)
        for a, b in combinations(range(5), 2)
    ]
    found = coherence_of(rows)
    assert found.cycles.low is not None
    assert found.cycles.high is not None
    assert found.cycles.low < 0.25 < found.cycles.high
    assert found.cycles.high - found.cycles.low < 0.06


def test_a_tie_or_a_missing_label_leaves_its_triples_out() -> None:
    circle = winners("ab:a bc:b ac:c")
    for said in (0, None):
        found = coherence_of([*circle[:2], (*circle[2][:3], said)])
        assert found.cycles.why == NO_TRIPLE
        assert found.zeta.why == NO_TOURNAMENT


def test_a_tournament_with_a_tie_still_has_its_other_triples() -> None:
    rows = winners("ab:a bc:b ac:a ad:a bd:b")
    found = coherence_of([*rows, (0, ord("c"), ord("d"), 0)])
    assert (found.cycles.value, found.cycles.n) == (0, 2)
    assert found.zeta.why == NO_TOURNAMENT


def test_equal_texts_of_two_prompts_are_two_answers() -> None:
    rows = winners("ab:a bc:b") + winners("ac:c", prompt=1)
    assert coherence_of(rows).cycles.n == 0


def test_two_turns_of_one_prompt_are_two_tournaments() -> None:
    found = coherence_of(winners("ab:a bc:b ac:c de:d ef:e df:d"))
    assert (found.zeta.value, found.zeta.n) == (0.5, 2)
    # One comparison between them makes them one, which is not complete.
    found = coherence_of(winners("ab:a bc:b ac:c de:d ef:e df:d cd:c"))
    assert found.zeta.why == NO_TOURNAMENT


def test_answers_compared_more_than_once_are_decided_by_the_majority() -> None:
    rows = winners("ab:a bc:b ac:c ca:a ac:a")
    assert coherence_of(rows).cycles.value == 0
    # One against one decides nothing.
    assert coherence_of(rows[:4]).cycles.n == 0


def test_a_pair_of_identical_answers_is_no_comparison() -> None:
    rows = [*winners("ab:a bc:b ac:a"), (0, ord("d"), ord("d"), 1)]
    assert coherence_of(rows).zeta.value == 1


def test_without_pairs_or_with_one_prompt_the_reason_is_told() -> None:
    assert coherence_of([]).cycles.why == NO_TRIPLE
    assert coherence_of([]).zeta.why == NO_TOURNAMENT
    one = coherence_of(winners("ab:a bc:b ac:a"))
    assert one.cycles.low is None
    assert one.cycles.why == one.zeta.why == "one prompt only; an interval needs at least two"


labels = st.sampled_from([1, 1, -1, -1, 0, None])
ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 4), labels), max_size=40
)


def by_hand(rows: Sequence[Row]) -> tuple[int, int, list[float]]:
    """Circles, triples, and the consistence of every complete tournament."""
    wins: dict[tuple[int, int, int], int] = defaultdict(int)
    together: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for prompt, first, second, label in rows:
        if first != second:
            wins[prompt, first, second] += label or 0
            wins[prompt, second, first] -= label or 0
            ends = [(prompt, first), (prompt, second)]
            joined = set(ends).union(*(together.get(end, set()) for end in ends))
            together.update(dict.fromkeys(joined, joined))
    circles, triples, zetas = 0, 0, []
    for these in {id(joined): joined for joined in together.values()}.values():
        own, answers = 0, [answer for _, answer in these]
        prompt = next(iter(these))[0]
        for a, b, c in combinations(answers, 3):
            around = [wins[prompt, a, b], wins[prompt, b, c], wins[prompt, c, a]]
            triples += 0 not in around
            own += min(around) > 0 or max(around) < 0
        n = len(these)
        circles += own
        if n >= 3 and all(wins[prompt, a, b] for a, b in combinations(answers, 2)):
            zetas.append(1 - 24 * own / (n**3 - (4 * n if n % 2 == 0 else n)))
    return circles, triples, zetas


@given(ROWS)
def test_every_triple_is_counted_once(rows: list[Row]) -> None:
    circles, triples, zetas = by_hand(rows)
    found = coherence_of(rows)
    assert (found.cycles.n, found.zeta.n) == (triples, len(zetas))
    assert found.cycles.value == (pytest.approx(circles / triples) if triples else None)
    assert found.zeta.value == (pytest.approx(np.mean(zetas), abs=1e-9) if zetas else None)


@given(ROWS)
def test_exchanging_the_candidates_of_every_pair_changes_nothing(rows: list[Row]) -> None:
    exchanged = [(p, b, a, None if said is None else -said) for p, a, b, said in rows]
    assert coherence_of(rows) == coherence_of(exchanged)


def test_many_pairs_against_one_baseline_are_no_quadratic_work() -> None:
    rows: list[Row] = [(0, 0, answer, 1) for answer in range(1, 20_001)]
    assert coherence_of(rows).cycles.n == 0
