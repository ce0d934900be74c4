"""What a run pays, over all its jobs: counted at the server, the ledger and the budget alike."""

import json
import random
from pathlib import Path

import pytest

import judge as api
from judge.errors import BudgetExceeded, ConfigError
from judge.ledger.runs import find_run
from judge.ledger.spending import note_losses, noted_losses, stored_spending
from judge.ledger.store import Ledger
from judge.prices.budget import Spending
from judge.prices.pricing import Price, estimate_tokens
from judge.settings.config import Endpoint, Judge, Run, Settings
from tests.fakes import (
    Scripted,
    Sent,
    completion,
    failure,
    in_virtual_time,
    rows,
    scripted_server,
    write_pairs,
)

PRICE = Price(input_per_million=100.0, output_per_million=1_000.0)
MAX_TOKENS = 100
IN_FLIGHT = 64


def usd(given: int, made: int) -> float:
    return (100 * given + 1_000 * made) / 1e6


def told(
    base_url: str, *, price: Price | None = PRICE, timeout_s: float = 30.0, **run: object
) -> Settings:
    return Settings(
        endpoints={
            "default": Endpoint(
                base_url=base_url,
                max_in_flight=IN_FLIGHT,
                start_in_flight=IN_FLIGHT,
                timeout_s=timeout_s,
            )
        },
        judges=(Judge(model="m", max_tokens=MAX_TOKENS),),
        prices={} if price is None else {"m": price},
        run=Run.model_validate(run),
    )


class Bill:
    """A script of replies that differ in length, and what the provider would charge for them."""

    def __init__(self, *, factor: float = 1.0, cut_share: float = 0.0) -> None:
        self.usd = 0.0
        self.underestimated = 0.0
        """Most that one prompt costs beyond what was reserved for it."""
        self._factor = factor
        self._cut_share = cut_share
        self._rng = random.Random(1)

    def __call__(self, sent: Sent) -> Scripted:
        texts = [message["content"] for message in sent.body["messages"]]
        guess = sum(estimate_tokens(text) + 4 for text in texts)
        given, made = round(self._factor * guess), self._rng.randrange(1, MAX_TOKENS + 1)
        self.usd += usd(given, made)
        self.underestimated = max(self.underestimated, usd(given - guess, 0))
        is_cut = self._rng.random() < self._cut_share
        choice = {
            "message": {"role": "assistant", "content": "[[A]]"},
            "finish_reason": "length" if is_cut else "stop",
        }
        usage = {"prompt_tokens": given, "completion_tokens": made}
        body = json.dumps({"choices": [choice], "usage": usage}).encode()
        return Scripted(body=body, delay_s=0.01 * self._rng.random())


async def test_money_is_never_overshot_at_high_concurrency_and_nearly_all_of_it_is_used(
    tmp_path: Path,
) -> None:
    pairs, bill = write_pairs(tmp_path / "pairs.jsonl", 400), Bill()
    async with scripted_server(bill) as server:
        settings = told(server.base_url, budget_usd=20.0)
        result = await api.arun(pairs, settings=settings, ledger=tmp_path / "x.db", environ={})
        assert server.peak_in_flight > IN_FLIGHT / 2
    assert isinstance(result.cause, BudgetExceeded)
    assert result.exit_code == 4
    assert 0.95 * 20 < bill.usd <= 20
    assert result.spent.usd == pytest.approx(bill.usd)


async def test_prompts_longer_than_estimated_overshoot_by_what_was_in_flight_at_most(
    tmp_path: Path,
) -> None:
    pairs, bill = write_pairs(tmp_path / "pairs.jsonl", 400), Bill(factor=3.0)
    async with scripted_server(bill) as server:
        settings = told(server.base_url, budget_usd=20.0)
        await api.arun(pairs, settings=settings, ledger=tmp_path / "x.db", environ={})
    assert 20 * 0.95 < bill.usd <= 20 + IN_FLIGHT * bill.underestimated


async def test_every_job_of_a_run_draws_on_the_same_budget_until_it_is_spent(
    tmp_path: Path,
) -> None:
    pairs, bill, ledger = write_pairs(tmp_path / "pairs.jsonl", 100), Bill(), tmp_path / "x.db"
    async with scripted_server(bill) as server:
        for limit in (2.0, 4.0, 4.0):
            settings = told(server.base_url, budget_usd=limit)
            asked = len(server.chats)
            result = await api.arun(pairs, settings=settings, ledger=ledger, environ={})
            assert bill.usd <= limit
            assert result.spent.usd == pytest.approx(bill.usd)
    assert len(server.chats) - asked <= 1, "what was left had room for one short reply at most"


async def test_what_a_judgment_cost_is_stored_with_it_even_when_its_first_reply_was_cut(
    tmp_path: Path,
) -> None:
    pairs, bill, ledger = (
        write_pairs(tmp_path / "p.jsonl", 10),
        Bill(cut_share=0.5),
        tmp_path / "x.db",
    )
    async with scripted_server(bill) as server:
        await api.arun(pairs, settings=told(server.base_url), ledger=ledger, environ={})
        assert len(server.chats) > 20, "some were asked again"
    stored = rows(ledger)
    assert sum(row["cost_usd"] for row in stored) == pytest.approx(bill.usd)


async def test_without_a_price_no_cost_is_stored_and_later_prices_tell_it(tmp_path: Path) -> None:
    pairs, bill, ledger = write_pairs(tmp_path / "p.jsonl", 5), Bill(), tmp_path / "x.db"
    async with scripted_server(bill) as server:
        unpriced = told(server.base_url, price=None)
        result = await api.arun(pairs, settings=unpriced, ledger=ledger, environ={})
        assert result.expense is not None
        assert result.expense.usd is None
        assert result.usd_per_1000_labels is None
        assert {row["cost_usd"] for row in rows(ledger)} == {None}
        again = await api.arun(pairs, settings=told(server.base_url), ledger=ledger, environ={})
    assert again.spent.usd == pytest.approx(bill.usd)
    detail = api.show_run(ledger=ledger, prices={"m": PRICE})
    assert detail.expenses["m"].usd == pytest.approx(bill.usd)
    assert api.show_run(ledger=ledger).expenses["m"].usd is None


async def test_a_price_that_changes_changes_nothing_that_was_paid(tmp_path: Path) -> None:
    pairs, bill, ledger = write_pairs(tmp_path / "p.jsonl", 5), Bill(), tmp_path / "x.db"
    async with scripted_server(bill) as server:
        await api.arun(pairs, settings=told(server.base_url), ledger=ledger, environ={})
        dearer = told(server.base_url, price=PRICE.times(10))
        again = await api.arun(pairs, settings=dearer, ledger=ledger, environ={})
    assert again.spent.usd == pytest.approx(bill.usd)


def test_what_came_in_a_batch_is_stored_at_the_price_of_the_batch(tmp_path: Path) -> None:
    pairs, folder, ledger = write_pairs(tmp_path / "p.jsonl", 2), tmp_path / "b", tmp_path / "x.db"
    settings = told("http://127.0.0.1:9/v1")
    half = settings.endpoints["default"].model_copy(update={"batch_discount": 0.5})
    settings = settings.model_copy(update={"endpoints": {"default": half}})
    done = api.batch_export(pairs, folder, settings=settings, ledger=ledger)
    body = json.loads(completion().body)
    out = tmp_path / "out.jsonl"
    with out.open("w") as file:
        for name in done.files:
            for line in (folder / name.name).read_text().splitlines():
                answer = {"status_code": 200, "request_id": "r", "body": body}
                custom_id = json.loads(line)["custom_id"]
                file.write(json.dumps({"custom_id": custom_id, "response": answer}) + "\n")
    api.batch_import(out, ledger=ledger, settings=settings)
    assert [row["cost_usd"] for row in rows(ledger)] == [pytest.approx(usd(11, 5) / 2)] * 4


# What ends without a reply


@in_virtual_time
async def test_requests_without_a_reply_count_for_the_next_job_too(tmp_path: Path) -> None:
    pairs, ledger = write_pairs(tmp_path / "p.jsonl", 10), tmp_path / "x.db"

    def script(sent: Sent) -> Scripted:
        return failure(400, "context_length_exceeded") if "3?" in sent.user else failure(503)

    async with scripted_server(script) as server:
        settings = told(server.base_url, budget_requests=30)
        first = await api.arun(pairs, settings=settings, ledger=ledger, environ={})
        assert isinstance(first.cause, BudgetExceeded)
        sent = len(server.chats)
        assert sent == first.spent.requests == 30
        server.script = [completion()]
        second = await api.arun(pairs, settings=settings, ledger=ledger, environ={})
        assert len(server.chats) == sent, "the budget was used up already"
    assert isinstance(second.cause, BudgetExceeded)
    assert "30 of 30 requests" in str(second.cause)


@in_virtual_time
async def test_time_outs_that_may_be_on_the_bill_use_up_the_budget_of_later_jobs(
    tmp_path: Path,
) -> None:
    pairs, ledger = write_pairs(tmp_path / "p.jsonl", 1), tmp_path / "x.db"
    hanging = [Scripted(is_hanging=True)]
    async with scripted_server(hanging) as server:
        settings = told(server.base_url, timeout_s=0.2, budget_usd=0.5)
        asked = []
        for _ in range(3):
            result = await api.arun(pairs, settings=settings, ledger=ledger, environ={})
            asked.append(len(server.chats))
    assert isinstance(result.cause, BudgetExceeded)
    assert asked[0] > 0
    assert asked[-1] == asked[-2], "nothing is left to lose"
    [loss] = rows(ledger, "losses")
    assert 0.5 - usd(600, MAX_TOKENS) < loss["usd"] <= 0.5
    assert result.spent.usd == pytest.approx(loss["usd"])


@in_virtual_time
async def test_an_ask_given_up_twice_counts_all_of_its_requests(tmp_path: Path) -> None:
    pairs, ledger = write_pairs(tmp_path / "p.jsonl", 1), tmp_path / "x.db"
    async with scripted_server([failure(500)]) as server:
        settings = told(server.base_url, budget_requests=1_000)
        for _ in range(2):
            result = await api.arun(pairs, settings=settings, ledger=ledger, environ={})
            assert result.progress.pending == 2
            assert result.spent.requests == len(server.chats)
    assert sum(row["attempts"] for row in rows(ledger, "deferrals")) == len(server.chats)
    with Ledger(ledger, read_only=True) as reader:
        assert stored_spending(reader, find_run(reader, "latest"), {}).requests == len(server.chats)


def test_a_note_of_losses_replaces_the_one_before_and_goes_with_its_run(tmp_path: Path) -> None:
    with Ledger(tmp_path / "x.db") as ledger:
        assert noted_losses(ledger, "one") == Spending()
        for lost in (Spending(1, 10, 0.5), Spending(2, 20, 0.75), Spending(2, 20, 0.75)):
            note_losses(ledger, "one", lost)
            assert noted_losses(ledger, "one") == lost
        assert noted_losses(ledger, "two") == Spending()


def test_a_money_budget_without_a_price_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "p.jsonl", 1)
    settings = told("http://127.0.0.1:9/v1", price=None, budget_usd=1.0)
    with pytest.raises(ConfigError, match=r'no price for model "m".*\[prices\."m"\]'):
        api.run(pairs, settings=settings, ledger=tmp_path / "x.db", environ={})
