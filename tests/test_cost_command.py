"""Money on the command line: estimates, budgets, questions before a job, and what a label cost."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from judge.cli import app
from judge.cli.configured import known_prices
from judge.cli.door import exit_code_of
from judge.cli.talk import Talk
from judge.errors import ConfigError
from judge.prices.pricing import Price
from judge.simulator.process import SimulatorProcess, simulator_process
from judge.simulator.settings import MODEL, SimulatorSettings
from tests.fakes import rows, write_pairs

CONFIG = f"""
[endpoints.local]
base_url = "ADDRESS"
[[judges]]
model = "{MODEL}"
endpoint = "local"
max_tokens = 200
"""
PRICE = f"""
[prices."{MODEL}"]
input = 10.0
output = 20.0
"""


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process(SimulatorSettings(reply_words=20, position_bias=0.0)) as running:
        yield running


class Typist:
    """Types commands in a folder that holds settings and ten pairs."""

    def __init__(
        self,
        simulator: SimulatorProcess,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.simulator = simulator
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.out = self.talk = ""

    def configure(self, more: str = "") -> None:
        address = self.simulator.base_url
        Path("judge.toml").write_text(CONFIG.replace("ADDRESS", address) + more)

    def types(self, *words: str, answer: str | None = None) -> int:
        """Type a command, at a terminal where a question would be answered."""
        stdin = io.StringIO() if answer is None else Terminal(answer + "\n")
        self._monkeypatch.setattr("sys.stdin", stdin)
        code = exit_code_of(app, words)
        self.out, self.talk = self._capsys.readouterr()
        return code

    @property
    def requests(self) -> int:
        return self.simulator.stats().requests


@pytest.fixture
def typist(
    simulator: SimulatorProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Typist:
    monkeypatch.chdir(tmp_path)
    write_pairs(Path("pairs.jsonl"), 10)
    simulator.reset_stats()
    typist = Typist(simulator, monkeypatch, capsys)
    typist.configure(PRICE)
    return typist


# Estimates


def test_an_estimate_says_where_its_price_and_its_tokens_come_from(typist: Typist) -> None:
    assert typist.types("cost", "pairs.jsonl") == 0
    assert "(config: $10 in, $20 out per million tokens)" in typist.out
    assert "counted by characters, 4 a token" in typist.out
    assert "1/8 of max_tokens to all of it" in typist.out
    assert "(assumed: half the price; set batch_discount of the endpoint)" in typist.out
    assert typist.types("run", "pairs.jsonl") == 0
    assert typist.types("cost", "pairs.jsonl", "--set", "judges.0.max_tokens=300") == 0
    assert "counted by characters, scaled to 20 prompts in the ledger" in typist.out
    assert typist.types("cost", "pairs.jsonl", "--set", "endpoints.local.batch_discount=0.2") == 0
    assert "0 to send; 20 stored already" in typist.out
    assert "(batch_discount 0.2)" in typist.out


def test_an_unknown_price_says_so_even_under_a_name_that_a_provider_sells(typist: Typist) -> None:
    typist.configure()
    assert typist.types("cost", "pairs.jsonl", "--model", "gpt-4o-mini") == 0
    assert 'price unknown; set [prices."gpt-4o-mini"]' in typist.out
    assert "in batches" not in typist.out
    assert typist.types("run", "pairs.jsonl", "--model", "gpt-4o-mini", "--budget", "1usd") == 2
    assert '[prices."gpt-4o-mini"]' in typist.talk
    assert typist.requests == 0


def test_a_list_price_is_used_where_the_config_has_none(typist: Typist) -> None:
    pytest.importorskip("genai_prices", reason="the extra cost is not installed")
    typist.configure()
    words = ("cost", "pairs.jsonl", "--model", "gpt-4o-mini", "--set")
    address = "endpoints.local.base_url=https://api.openai.com/v1"
    assert typist.types(*words, address) == 0
    assert re.search(r"price \$.* \(genai-prices [\d.]+ for openai: \$", typist.out)
    assert re.search(r"in batches \$.* \(genai-prices [\d.]+ for openai\)", typist.out)


def test_an_estimate_as_json_tells_the_same(typist: Typist) -> None:
    assert typist.types("cost", "pairs.jsonl", "--json") == 0
    told = json.loads(typist.out)
    [judge] = told["judges"]
    assert judge["price"] == {"input": 10.0, "output": 20.0, "cached_input": None}
    assert judge["price_source"] == "config"
    assert judge["is_batch_assumed"] is True
    assert told["batch_usd"]["high"] == pytest.approx(told["usd"]["high"] / 2)
    assert told["judging"] is None


# Budgets


def test_a_budget_ends_the_job_and_a_larger_one_resumes_it(typist: Typist) -> None:
    assert typist.types("run", "pairs.jsonl", "--budget", "7requests") == 4
    assert "the budget is spent" in typist.talk
    assert len(rows(Path("runs/judge.db").absolute())) == 7
    assert typist.types("run", "pairs.jsonl", "--budget", "7requests") == 4
    assert typist.requests == 7
    assert typist.types("run", "pairs.jsonl", "--budget", "1ktokens", "--budget", "5usd") == 4
    assert "tokens" in typist.talk
    assert typist.types("run", "pairs.jsonl", "--budget", "5usd") == 0
    assert len(rows(Path("runs/judge.db").absolute())) == 20


@pytest.mark.parametrize(
    "flags",
    [
        ("--budget", "20"),
        ("--budget", "20eur"),
        ("--budget", "1usd", "--budget", "2usd"),
        ("--budget", "1usd", "--budget-usd", "2"),
        ("--confirm-above", "5 dollars"),
        ("--set", "run.budget_usd=0"),
        ("--set", f"prices.{MODEL}.input=-1"),
        ("--set", "endpoints.local.batch_discount=50"),
    ],
)
def test_a_limit_that_is_none_is_refused_before_anything_is_asked(
    typist: Typist, flags: tuple[str, ...]
) -> None:
    assert typist.types("run", "pairs.jsonl", *flags) == 2
    assert "error: " in typist.talk
    assert typist.requests == 0


def test_a_budget_that_a_price_of_nothing_never_uses_up_is_warned_of(typist: Typist) -> None:
    typist.configure(PRICE.replace("10.0", "0").replace("20.0", "0"))
    assert typist.types("run", "pairs.jsonl", "--budget", "1usd") == 0
    assert "warning: budget_usd limits nothing" in typist.talk
    assert typist.types("cost", "pairs.jsonl") == 0
    assert "(config: a model that costs nothing)" in typist.out


# Questions


def test_a_person_is_asked_above_the_amount_and_a_no_begins_nothing(typist: Typist) -> None:
    run = ("run", "pairs.jsonl", "--confirm-above", "0.01usd")
    assert typist.types(*run, answer="") == 130
    assert "at most 20 requests" in typist.talk
    assert "that may exceed 0.01usd. Begin? [y/N]" in typist.talk
    assert typist.requests == 0
    assert not Path("runs").exists()
    assert typist.types(*run, answer="y") == 0
    assert typist.requests == 20
    assert typist.types(*run) == 0, "everything is stored, so nothing is asked"
    assert "Begin?" not in typist.talk


def test_nobody_is_asked_below_the_amount_or_away_from_a_terminal(typist: Typist) -> None:
    for ledger, words, answer in (
        ("a.db", ("--confirm-above", "50usd"), "n"),
        ("b.db", ("--confirm-above", "0.01usd"), None),
        ("c.db", (), "n"),
    ):
        assert typist.types("run", "pairs.jsonl", "--ledger", ledger, *words, answer=answer) == 0
        assert "Begin?" not in typist.talk
    assert typist.requests == 60


def test_a_person_is_asked_where_the_price_is_unknown(typist: Typist) -> None:
    typist.configure()
    run = ("run", "pairs.jsonl", "--confirm-above", "5usd")
    assert typist.types(*run, answer="n") == 130
    assert 'price unknown; set [prices."' in typist.talk


# What it cost


def test_the_price_of_a_usable_label_is_told_at_the_end_and_later(typist: Typist) -> None:
    assert typist.types("run", "pairs.jsonl") == 0
    assert f"prices per million tokens: {MODEL} $10 in, $20 out (config)" in typist.talk
    told = re.search(r"; judging (\$[\d.]+) per 1,000 usable labels", typist.talk)
    assert told is not None
    typist.configure()  # what was paid is stored
    assert typist.types("runs", "show") == 0
    assert f"{told[1]} per 1,000 usable labels, judging alone" in typist.out
    assert typist.types("agree") == 0
    assert f"$ per 1,000 usable labels: {float(told[1][1:]):,.2f}" in typist.out


def test_prices_that_came_later_are_read_from_the_config(typist: Typist) -> None:
    typist.configure()
    assert typist.types("run", "pairs.jsonl") == 0
    assert "$" not in typist.talk
    assert typist.types("runs", "show") == 0
    assert "usable labels" not in typist.out
    Path("other.toml").write_text(Path("judge.toml").read_text() + PRICE)
    assert typist.types("runs", "show", "--config", "other.toml") == 0
    assert "usable labels" in typist.out
    assert typist.types("agree", "--config", "other.toml") == 0
    assert "$ per 1,000 usable labels" in typist.out


def test_settings_that_nobody_named_never_stand_in_the_way_of_a_report(typist: Typist) -> None:
    said = io.StringIO()
    talk = Talk(said, is_quiet=False, environ={})
    assert known_prices(None, talk) == {
        MODEL: Price(input_per_million=10.0, output_per_million=20.0)
    }
    Path("judge.toml").write_text("no = such key")
    assert known_prices(None, talk) == {}
    assert "no prices from judge.toml: " in said.getvalue()
    with pytest.raises(ConfigError):
        known_prices(Path("judge.toml"), talk)
