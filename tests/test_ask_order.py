"""The order in which asks are sent: prompts that begin alike follow each other."""

import random
from collections import Counter, OrderedDict
from collections.abc import Sequence
from itertools import combinations, groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.job.ask_order import in_groups, side_by_side
from judge.job.judging import Ask, ResolvedJudge, resolve_judge
from judge.records import Order
from judge.settings.config import Endpoint, Judge
from prompts.shown import Shown
from tests.benchmarks.prefix_material import DATA, material, requests_of
from tests.benchmarks.prefix_material import all_asks as asks_about

ENDPOINT = Endpoint(base_url="http://127.0.0.1:9/v1")


def judge_of(model: str) -> ResolvedJudge:
    return resolve_judge(Judge(model=model), ENDPOINT)


def all_asks(questions: int, candidates: int, judges: tuple[ResolvedJudge, ...]) -> list[Ask]:
    """Return every pair of candidates of every question, in both orders, by every judge."""
    return [
        Ask(f"{question}-{one}-{other}", shown, judge, order, 0)
        for question in range(questions)
        for one, other in combinations(range(candidates), 2)
        for shown in [Shown(f"Q{question}", f"answer {one}", f"answer {other}")]
        for judge in judges
        for order in Order
    ]


def shown_first(ask: Ask) -> tuple[str, str, str]:
    """Return what a rendered prompt begins with: instructions, question, answer A."""
    shown = ask.shown if ask.order is Order.FORWARD else ask.shown.exchanged
    return ask.judge.judge_key, shown.question, shown.answer_a


def runs_of(asks: list[Ask], part: slice) -> int:
    """Return how often what is shown first changes, counting the first."""
    return len(list(groupby(asks, key=lambda ask: shown_first(ask)[part])))


def test_asks_that_begin_alike_are_neighbours_however_they_came() -> None:
    judges = (judge_of("one"), judge_of("two"))
    asks = all_asks(5, 4, judges)
    random.Random(7).shuffle(asks)

    ordered = side_by_side(asks)

    assert runs_of(ordered, slice(1, 2)) == 5, "each question once"
    assert runs_of(ordered, slice(0, 2)) == 5 * 2, "each judge once per question"
    assert runs_of(ordered, slice(0, 3)) == 5 * 2 * 4, "each answer A once per judge"
    assert Counter(map(id, ordered)) == Counter(map(id, asks)), "nothing lost, nothing doubled"


def test_questions_stay_in_the_order_in_which_they_came() -> None:
    asks = all_asks(6, 3, (judge_of("one"),))

    ordered = side_by_side(asks)

    assert [ask.shown.question for ask in ordered] == [ask.shown.question for ask in asks]


def test_the_same_answer_to_another_question_is_another_prefix() -> None:
    judge = judge_of("one")
    asks = [
        Ask(question, Shown(question, "yes", other), judge, Order.FORWARD, 0)
        for other in ("no", "perhaps")
        for question in ("Q0", "Q1")
    ]

    assert [ask.shown.question for ask in side_by_side(asks)] == ["Q0", "Q0", "Q1", "Q1"]


def test_another_reference_is_another_question() -> None:
    judge = judge_of("one")
    asks = [
        Ask(str(number), Shown("Q", "yes", "no", (reference,)), judge, Order.FORWARD, number)
        for number, reference in enumerate(["r", "s", "r"])
    ]

    assert [ask.sample for ask in side_by_side(asks)] == [0, 2, 1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))))
def test_grouping_keeps_every_job_and_the_order_within_a_group(
    prefixes: list[tuple[int, int]],
) -> None:
    jobs = list(range(len(prefixes)))

    ordered = in_groups(jobs, prefixes)

    assert sorted(ordered) == jobs
    by_prefix = [(prefixes[job], job) for job in ordered]
    for prefix in set(prefixes):
        members = [job for its, job in by_prefix if its == prefix]
        assert members == sorted(members)
    firsts = [prefix[0] for prefix, _ in by_prefix]
    assert len(list(groupby(firsts))) == len(set(firsts)), "no group is torn"
    assert list(dict.fromkeys(firsts)) == list(dict.fromkeys(p[0] for p in prefixes))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))))
def test_ordering_what_is_ordered_changes_nothing(prefixes: list[tuple[int, int]]) -> None:
    once = in_groups(prefixes, prefixes)

    assert in_groups(once, once) == once


BLOCK_CHARS = 512
"""About 128 tokens."""


def cached_share(asks: Sequence[Ask]) -> float:
    """Return the share of characters that a prefix cache serves, least recently used blocks out.

    The cache holds a twentieth of all blocks; a block is known by all that stands before it too.
    """
    prompts = [request.system + request.user for request in requests_of(asks)]
    whole = [
        [prompt[: end + BLOCK_CHARS] for end in range(0, len(prompt) - BLOCK_CHARS, BLOCK_CHARS)]
        for prompt in prompts
    ]
    room, served = sum(map(len, whole)) // 20, 0
    cache: OrderedDict[str, None] = OrderedDict()
    for blocks in whole:
        is_hit = True
        for block in blocks:
            is_hit = is_hit and block in cache
            served += BLOCK_CHARS * is_hit
            cache[block] = None
            cache.move_to_end(block)
            if len(cache) > room:
                cache.popitem(last=False)
    return served / sum(map(len, prompts))


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there")
def test_real_prompts_in_this_order_come_from_a_small_cache_far_more_often_than_at_random() -> None:
    asks = asks_about(material(), judge_of("one"))
    random.Random(1).shuffle(asks)

    assert len(asks) == 250 * 6 * 2
    ordered, at_random = cached_share(side_by_side(asks)), cached_share(asks)

    assert ordered >= 0.4
    assert ordered >= 1.5 * at_random
