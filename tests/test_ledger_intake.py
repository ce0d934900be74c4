"""Given pairs and votes in the ledger: one content for many ids, and no vote changes sides."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.identity import canonical, judgment_id
from judge.ledger.facts import votes_on
from judge.ledger.intake import Given, add_pairs, add_votes, sides_of
from judge.ledger.runs import RunJudge, begin_run, complete_run, count_pairs, find_run
from judge.ledger.store import Ledger
from judge.ledger.work import count_contents
from judge.ledger.writer import INSERT_JUDGMENT
from judge.outcomes.labelling import labelled_pairs, labelled_texts
from judge.outcomes.labels import Rule
from judge.records import (
    Candidate,
    Judgment,
    Label,
    Message,
    Order,
    Outcome,
    Pair,
    Prompt,
    Status,
    Verdict,
    Vote,
)
from tests.fakes import work_pages

JUDGES = ("key-1", "key-2")
EXCHANGED = {Outcome.FIRST: Outcome.SECOND, Outcome.SECOND: Outcome.FIRST}
ONE, TWO = "a first answer", "the other answer"

Said = Verdict | Status


def answer(text: str) -> Candidate:
    return Candidate(messages=(Message(role="assistant", content=text),))


def pair(pair_id: str, first: str = ONE, second: str = TWO, question: str = "Q") -> Pair:
    return Pair(
        pair_id=pair_id,
        prompt=Prompt(prompt_id="q", messages=(Message(role="user", content=question),)),
        first=answer(first),
        second=answer(second),
    )


def exchanged(one: Pair, pair_id: str) -> Pair:
    return one.model_copy(update={"pair_id": pair_id, "first": one.second, "second": one.first})


@contextmanager
def ledger_with(*chosen: Pair, rule: Rule = Rule.CONSERVATIVE) -> Iterator[Ledger]:
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "x.db") as ledger:
        begin(ledger, rule=rule)
        assert add(ledger, *chosen) == []
        yield ledger


def begin(ledger: Ledger, run_id: str = "r", rule: Rule = Rule.CONSERVATIVE) -> None:
    begin_run(
        ledger,
        run_id,
        kind="judge",
        source="s",
        settings={"rule": rule.value},
        judges=[RunJudge(key, key, "m", "p", "d", {}) for key in JUDGES],
        now="2026",
    )
    complete_run(ledger, run_id)


def add(ledger: Ledger, *chosen: Pair, run_id: str = "r") -> list[str]:
    given_lines = [Given(line, one, canonical(one)) for line, one in enumerate(chosen, 1)]
    return [f"{c.line}: {c.problem}" for c in add_pairs(ledger, run_id, given_lines)]


def answer_all(ledger: Ledger, replies: Mapping[tuple[str, Order], Said]) -> int:
    """Give every content of the run the same replies, by judge and by order of the content."""
    rows = []
    for page in work_pages(ledger, "r", JUDGES, page_size=10):
        for item in page:
            for (judge_key, order), said in replies.items():
                content_id = item.content.content_id
                judgment = Judgment(
                    judgment_id=judgment_id(content_id, judge_key, order, 0),
                    content_id=content_id,
                    judge_key=judge_key,
                    order=order,
                    reply="",
                    verdict=said if isinstance(said, Verdict) else None,
                    status=said if isinstance(said, Status) else None,
                    parser="p",
                    created_at="2026",
                )
                rows.append(judgment.__dict__)
    with ledger.transaction() as connection:
        connection.execute(INSERT_JUDGMENT, rows)
    return len(rows)


def labels_of(ledger: Ledger) -> dict[str, Label]:
    return {label.pair_id: label for _, label in labelled_pairs(ledger, find_run(ledger, "r"))}


def both(forward: Said, reversed_: Said) -> dict[tuple[str, Order], Said]:
    """What both judges reply, by the order in which the content is shown."""
    return {
        (judge, order): said
        for judge in JUDGES
        for order, said in ((Order.FORWARD, forward), (Order.REVERSED, reversed_))
    }


said = st.sampled_from([*Verdict, *Status])
panels = st.fixed_dictionaries({(judge, order): said for judge in JUDGES for order in Order})
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=40, deadline=None)
@given(panels, texts, texts, st.sampled_from(Rule))
def test_exchanging_the_sides_of_a_given_pair_exchanges_its_label_and_nothing_else(
    replies: dict[tuple[str, Order], Said], first: str, second: str, rule: Rule
) -> None:
    one = pair("one", first, second)
    with ledger_with(one, exchanged(one, "two"), rule=rule) as ledger:
        answer_all(ledger, replies)
        labels = labels_of(ledger)
    same_answers = first == second
    outcome = labels["one"].outcome
    mirrored = outcome if same_answers else EXCHANGED.get(outcome, outcome)
    p = labels["one"].probability
    expected = {"pair_id": "two", "outcome": mirrored}
    if p is not None and not same_answers:
        assert labels["two"].probability == pytest.approx(1 - p)
        expected |= {name: getattr(labels["two"], name) for name in ("probability", "margin")}
    assert labels["two"] == labels["one"].model_copy(update=expected)


def test_the_answer_that_won_is_the_same_text_whichever_side_it_was_given_on() -> None:
    one = pair("one")
    with ledger_with(one, exchanged(one, "two"), pair("three")) as ledger:
        answer_all(ledger, both(Verdict.A, Verdict.B))
        winners = {
            given_pair.pair_id: (
                given_pair.first if label.outcome is Outcome.FIRST else given_pair.second
            ).text
            for given_pair, label in labelled_texts(ledger, find_run(ledger, "r"))
        }
        outcomes = {key: label.outcome for key, label in labels_of(ledger).items()}
    assert len(set(winners.values())) == 1
    assert outcomes["one"] is outcomes["three"]
    assert outcomes["two"] is EXCHANGED[outcomes["one"]]


def test_ids_that_share_a_content_are_asked_once_and_all_labelled() -> None:
    one = pair("one")
    with ledger_with(one, exchanged(one, "two"), pair("three"), pair("four", "x")) as ledger:
        assert count_contents(ledger, "r") == 2
        assert answer_all(ledger, both(Verdict.A, Verdict.B)) == 2 * 4
        assert list(labels_of(ledger)) == ["one", "two", "three", "four"]


def test_pairs_read_back_as_they_were_given() -> None:
    one = pair("one")
    turned = exchanged(one, "two")
    with ledger_with(one, turned) as ledger:
        found = [each for each, _ in labelled_texts(ledger, find_run(ledger, "r"))]
    assert found == [one, turned]


@pytest.mark.parametrize("preference", ["first", "second", "tie", "both_bad", "skip"])
def test_a_vote_keeps_the_side_it_was_cast_for(preference: str) -> None:
    one = pair("one")
    with ledger_with(one, exchanged(one, "two")) as ledger:
        cast = [
            Vote.model_validate({"pair_id": name, "annotator": "x", "preference": preference})
            for name in ("one", "two")
        ]
        assert add_votes(ledger, list(enumerate(cast, 1))) == (2, [])
        found = sorted(votes_on(ledger, "r"), key=lambda vote: vote.pair_id)
    assert found == cast


def test_the_same_pair_again_is_no_conflict_and_is_selected_once() -> None:
    with ledger_with(pair("one"), pair("one")) as ledger:
        assert add(ledger, pair("one")) == []
        assert count_pairs(ledger, "r") == 1


def test_a_known_id_with_its_sides_exchanged_is_refused() -> None:
    one = pair("one")
    said_about_it = (
        '1: pair_id "one" is known with its two answers exchanged; '
        "give the answers in the known order, or another pair_id"
    )
    with ledger_with(one) as ledger:
        assert add(ledger, exchanged(one, "one")) == [said_about_it]
        assert next(iter(labelled_texts(ledger, find_run(ledger, "r"))))[0] == one


def test_a_known_id_with_another_content_is_refused() -> None:
    with ledger_with(pair("one")) as ledger:
        assert add(ledger, pair("one", "another"), pair("new", "another")) == [
            '1: pair_id "one" is known with another content; give this pair another pair_id'
        ]
        assert set(sides_of(ledger, ["one", "new", "none"])) == {"one", "new"}


def test_two_lines_of_one_file_that_clash_leave_the_first_in_place() -> None:
    with ledger_with() as ledger:
        problems = add(ledger, pair("one"), exchanged(pair("one"), "one"), pair("one", "z"))
        assert [problem[:2] for problem in problems] == ["2:", "3:"]
        assert count_pairs(ledger, "r") == 1


def test_a_clash_is_found_across_runs() -> None:
    with ledger_with(pair("one")) as ledger:
        begin(ledger, "r2")
        assert len(add(ledger, pair("one", "another"), run_id="r2")) == 1
        assert count_pairs(ledger, "r2") == 0


def test_many_pairs_go_in_at_once_in_their_order() -> None:
    many = [pair(f"p{n}", f"answer {n % 700}") for n in range(1500)]
    with ledger_with(*many) as ledger:
        found = [label.pair_id for _, label in labelled_pairs(ledger, find_run(ledger, "r"))]
        assert found == [one.pair_id for one in many]
        assert count_contents(ledger, "r") == 700


def test_votes_are_stored_once_however_often_they_are_imported() -> None:
    vote = Vote(pair_id="one", annotator="x", preference="first")
    other = vote.model_copy(update={"annotator": "y"})
    with ledger_with(pair("one")) as ledger:
        assert add_votes(ledger, [(1, vote), (2, vote)]) == (1, [])
        assert add_votes(ledger, [(1, vote), (2, other)]) == (1, [])
        assert len(list(votes_on(ledger, "r"))) == 2


def test_a_vote_on_an_unknown_pair_is_refused_and_the_others_are_stored() -> None:
    lost = Vote(pair_id="nobody", annotator="x", preference="first")
    kept = Vote(pair_id="one", annotator="x", preference="first")
    with ledger_with(pair("one")) as ledger:
        new, conflicts = add_votes(ledger, [(1, lost), (2, kept)])
        assert new == 1
        assert [(c.line, c.problem) for c in conflicts] == [
            (1, 'pair_id "nobody" is not in the ledger; import its pair first')
        ]


def _kept(ledger: Ledger) -> Sequence[str]:
    return [label.pair_id for _, label in labelled_pairs(ledger, find_run(ledger, "r"))]


@pytest.mark.parametrize("text", ["line\nbreak", "\x1f\x7f", "‮ right to left", "🙂" * 3, '"\\'])
def test_any_text_comes_back_as_it_was_given(text: str) -> None:
    odd = pair(text, text, f"{text} ", question=f"{text}?")
    with ledger_with(odd) as ledger:
        assert [found for found, _ in labelled_texts(ledger, find_run(ledger, "r"))] == [odd]
        assert _kept(ledger) == [text]
