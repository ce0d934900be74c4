"""Records of pairs become columns."""

from typing import Any

import numpy as np

from judge.ledger.facts import AnswerFacts, JudgedPair
from judge.trust.answer_style import AnswerStyle
from judge.trust.pair_columns import PairGathering


def answer(text: str, model: str | None = None) -> AnswerFacts:
    style = AnswerStyle(lists=text.count("-"), marks=text.count("#"), digest=text.encode())
    return AnswerFacts(len(text), model, style)


def pair(
    name: str, first: AnswerFacts, second: AnswerFacts, *, prompt: str = "q", **tags: Any
) -> JudgedPair:
    return JudgedPair(name, prompt, (), tags, first, second)


def gathered(*pairs: JudgedPair, **options: Any) -> PairGathering:
    gathering = PairGathering(**options)
    for one in pairs:
        gathering.add(one)
    return gathering


def test_answers_become_columns_with_the_names_of_their_systems() -> None:
    columns = gathered(
        pair("p1", answer("-- a", "gpt-4"), answer("##b", "claude")),
        pair("p2", answer("c"), answer("", "gpt-4")),
    ).columns()
    assert columns.first is not None
    assert columns.second is not None
    assert columns.first.chars.tolist() == [4, 1]
    assert columns.first.lists.tolist() == [2, 0]
    assert columns.second.marks.tolist() == [2, 0]
    sides = (columns.first.system, columns.second.system)
    assert [[columns.systems[code] for code in side] for side in sides] == [
        ["gpt-4", None],
        ["claude", "gpt-4"],
    ]


def test_equal_answers_share_a_code_only_under_the_same_prompt_and_turn() -> None:
    a, b, c = answer("a"), answer("b"), answer("c")
    columns = gathered(
        pair("p1", a, b),
        pair("p2", c, a),
        pair("p3", a, b, prompt="other"),
        pair("p4", a, b, turn=2),
        pair("p5", b, b),
    ).columns()
    assert columns.first is not None
    assert columns.second is not None
    first, second = columns.first.answer, columns.second.answer
    assert first[0] == second[1]
    assert first[4] == second[4] == second[0]
    assert len({first[0], first[2], first[3]}) == 3
    assert len(np.unique(np.concatenate([first, second]))) == 7


def test_tags_part_the_pairs_and_a_pair_without_one_is_in_no_part() -> None:
    a, b = answer("a"), answer("b")
    columns = gathered(
        pair("p1", a, b, category="math", language="de"),
        pair("p2", a, b, category=" math "),
        pair("p3", a, b, category=["math"]),
        pair("p4", a, b, category=""),
        pair("p5", a, b, category="coding"),
    ).columns()
    assert list(columns.strata) == ["category", "language"]
    category = columns.strata["category"]
    named = [category.names[code] for code in category.codes]
    assert named == ["math", "math", None, None, "coding"]
    language = columns.strata["language"]
    assert [language.names[code] for code in language.codes] == ["de", None, None, None, None]


def test_pairs_are_parted_by_the_tags_that_are_asked_for() -> None:
    a, b = answer("a"), answer("b")
    pairs = [pair("p1", a, b, level=1, category="math"), pair("p2", a, b, level=2)]
    columns = gathered(*pairs, by=("level", "never")).columns()
    assert list(columns.strata) == ["level"]
    assert columns.strata["level"].names == ("1", "2")


def test_nothing_is_told_of_the_answers_where_a_text_was_not_read() -> None:
    unread = AnswerFacts(7, "gpt-4")
    columns = gathered(
        pair("p1", answer("a"), answer("b")), pair("p2", unread, answer("b"))
    ).columns()
    assert columns.first is None
    assert columns.second is not None
    assert len(columns.cluster) == 2


def test_no_pair_at_all_gives_empty_columns() -> None:
    columns = gathered().columns()
    assert columns.first is not None
    assert len(columns.first.chars) == len(columns.cluster) == 0
    assert columns.strata == {}
