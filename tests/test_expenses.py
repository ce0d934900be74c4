"""What judging took, from the ledger's facts."""

from pathlib import Path

import pytest

from calibration.report.columns import Expense
from judge.identity import canonical
from judge.ledger.intake import Given, add_pairs
from judge.ledger.run_facts import ReplyTotals, reply_totals
from judge.ledger.runs import Run, RunJudge, begin_run, complete_run, find_run
from judge.ledger.store import Ledger
from judge.ledger.writer import INSERT_JUDGMENT
from judge.policy import single_order
from judge.prices.expenses import expenses_of, joint_expense, usd_per_1000_labels
from judge.prices.pricing import Price, Usage
from judge.records import Candidate, Judgment, Message, Order, Pair, Prompt, Status, Verdict
from judge.trust.audit import gather_in

STRONG = RunJudge("key-1", "strong", "model-1", "pair-tie", "digest-1", {})
WEAK = RunJudge("key-2", "weak", "model-2", "pair-tie", "digest-2", {})

PRICE = Price(input_per_million=2.0, output_per_million=5.0)
MUCH = 1_000_000


def said(role: str, text: str) -> tuple[Message, ...]:
    return (Message(role=role, content=text),)


def pair(number: int) -> Pair:
    return Pair(
        pair_id=f"p{number}",
        prompt=Prompt(prompt_id=f"q{number}", messages=said("user", f"Question {number}?")),
        first=Candidate(messages=said("assistant", "a")),
        second=Candidate(messages=said("assistant", "b")),
    )


def judgment(number: int, order: Order, *, judge: RunJudge = STRONG, **facts: object) -> Judgment:
    content_id = canonical(pair(number)).content_id
    told = {
        "verdict": Verdict.A,
        "status": None,
        "input_tokens": 100,
        "output_tokens": 20,
        "latency_s": 0.5,
        **facts,
    }
    return Judgment.model_validate(
        {
            "judgment_id": f"{content_id} {judge.judge_key} {order}",
            "content_id": content_id,
            "judge_key": judge.judge_key,
            "order": order,
            "reply": "a reply",
            "parser": "test/1",
            "created_at": "2026-01-01",
            **told,
        }
    )


def rejected(number: int, order: Order, status: Status) -> Judgment:
    """What is stored of a request that the endpoint turned down: no tokens and no time."""
    return judgment(
        number,
        order,
        verdict=None,
        status=status,
        input_tokens=None,
        output_tokens=None,
        latency_s=None,
    )


def a_ledger(
    folder: Path,
    *judgments: Judgment,
    judges: tuple[RunJudge, ...] = (STRONG,),
    rule: str = "conservative",
) -> Ledger:
    ledger = Ledger(folder / "x.db")
    begin_run(
        ledger,
        "one",
        kind="judge",
        source="pairs.jsonl",
        settings={"rule": rule},
        judges=judges,
        now="2026-01-01",
    )
    given = [Given(number, pair(number), canonical(pair(number))) for number in (1, 2)]
    assert add_pairs(ledger, "one", given) == []
    complete_run(ledger, "one")
    if judgments:
        with ledger.transaction() as connection:
            connection.execute(INSERT_JUDGMENT, [each.__dict__ for each in judgments])
    return ledger


def totals_of(ledger: Ledger) -> dict[str, ReplyTotals]:
    with ledger:
        return reply_totals(ledger, find_run(ledger, "one"))


def test_tokens_and_seconds_add_up_and_money_that_nobody_told_is_unknown(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, *(judgment(1, order) for order in Order))
    assert totals_of(ledger) == {
        "key-1": ReplyTotals(2, 0.0, 1.0, 200, 40, unpriced=Usage(200, 40))
    }


def test_one_reply_without_a_count_makes_the_total_unknown(tmp_path: Path) -> None:
    ledger = a_ledger(
        tmp_path,
        judgment(1, Order.FORWARD, cost_usd=0.25),
        judgment(1, Order.REVERSED, cost_usd=0.5, output_tokens=None),
    )
    assert totals_of(ledger) == {"key-1": ReplyTotals(2, 0.75, 1.0, 200, None)}


def test_an_unreadable_reply_costs_and_a_rejected_request_does_not(tmp_path: Path) -> None:
    ledger = a_ledger(
        tmp_path,
        judgment(1, Order.FORWARD, verdict=None, status=Status.UNPARSED),
        rejected(1, Order.REVERSED, Status.FAILED),
        rejected(2, Order.FORWARD, Status.REFUSED),
    )
    assert totals_of(ledger) == {
        "key-1": ReplyTotals(3, 0.0, 0.5, 100, 20, unpriced=Usage(100, 20))
    }


def test_with_one_order_only_what_was_asked_in_it_counts(tmp_path: Path) -> None:
    asked = single_order(canonical(pair(1)).content_id)
    ledger = a_ledger(
        tmp_path,
        judgment(1, asked, input_tokens=7),
        judgment(1, asked.other),
        rule="single_random",
    )
    assert totals_of(ledger)["key-1"].input_tokens == 7


def test_a_run_without_judgments_took_nothing(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    run = find_run(ledger, "one")
    assert expenses_of(run, totals_of(ledger)) == {}
    assert joint_expense([]) is None


def a_run(*judges: RunJudge) -> Run:
    return Run("one", "judge", "x", {"rule": "conservative"}, True, "", judges)


@pytest.mark.parametrize(
    ("totals", "usd"),
    [
        (ReplyTotals(2, 0.0, 1.0, MUCH, 500_000, Usage(MUCH, 500_000)), 4.5),
        (ReplyTotals(2, 0.75, 1.0, MUCH, 500_000), 0.75),
        (ReplyTotals(2, 0.75, 1.0, 2 * MUCH, 500_000, Usage(MUCH, 0)), 2.75),
        (ReplyTotals(2, 0.0, 1.0, None, 500_000, None), None),
    ],
)
def test_money_is_what_is_stored_and_beyond_that_the_price_of_the_tokens(
    totals: ReplyTotals, usd: float | None
) -> None:
    prices = {"model-1": PRICE}
    found = expenses_of(a_run(STRONG), {"key-1": totals}, prices=prices)["key-1"]
    assert found.usd == (None if usd is None else pytest.approx(usd))
    assert (found.judgments, found.seconds) == (2, 1.0)


def test_a_model_without_a_price_has_no_cost() -> None:
    totals = {"key-2": ReplyTotals(1, 0.5, 1.0, 100, 20, Usage(100, 20))}
    found = expenses_of(a_run(STRONG, WEAK), totals, prices={"model-1": PRICE})
    assert found == {"key-2": Expense(1, None, 1.0, 100, 20)}


def test_replies_stored_with_their_cost_and_those_without_add_up(tmp_path: Path) -> None:
    ledger = a_ledger(
        tmp_path,
        judgment(1, Order.FORWARD, cost_usd=0.25),
        judgment(1, Order.REVERSED, cached_tokens=60),
        rejected(2, Order.FORWARD, Status.REFUSED),
    )
    [totals] = totals_of(ledger).values()
    assert totals == ReplyTotals(3, 0.25, 1.0, 200, 40, unpriced=Usage(100, 20, 60))
    cheaper = PRICE.model_copy(update={"cached_input_per_million": 0.5})
    found = expenses_of(a_run(STRONG), {"key-1": totals}, prices={"model-1": cheaper})["key-1"]
    assert found.usd == pytest.approx(0.25 + (40 * 2 + 60 * 0.5 + 20 * 5) / 1e6)


@pytest.mark.parametrize(
    ("expense", "outcomes", "usd"),
    [
        (Expense(4, 0.5, None, None, None), {"first": 3, "second": 2, "tie": 9}, 100.0),
        (Expense(4, 0.5, None, None, None), {"tie": 9, "inconsistent": 1}, None),
        (Expense(4, None, None, None, None), {"first": 3}, None),
        (None, {"first": 3}, None),
    ],
)
def test_a_usable_label_says_which_answer_is_better(
    expense: Expense | None, outcomes: dict[str, int], usd: float | None
) -> None:
    assert usd_per_1000_labels(expense, outcomes) == usd


def test_the_columns_of_a_run_carry_what_its_judges_took(tmp_path: Path) -> None:
    facts = [judgment(1, order, judge=judge) for judge in (STRONG, WEAK) for order in Order]
    with a_ledger(tmp_path, *facts, judges=(STRONG, WEAK)) as ledger:
        gathered = gather_in(ledger, find_run(ledger, "one"))
        priced = gather_in(ledger, find_run(ledger, "one"), prices={"model-1": PRICE})
    strong, weak, panel = (judge.expense for judge in gathered.judges)
    assert strong == weak == Expense(2, None, 1.0, 200, 40)
    assert panel == Expense(4, None, 2.0, 400, 80)
    usd = [judge.expense.usd for judge in priced.judges if judge.expense]
    assert usd == [pytest.approx(600 / 1e6), None, None]
