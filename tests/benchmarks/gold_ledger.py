"""A large ledger made in seconds: judged pairs and votes, written as rows of its tables."""

import json
import random
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from judge.ledger.runs import RunJudge, begin_run, complete_run
from judge.ledger.store import Ledger
from judge.replies.verdicts import PARSER

SYSTEMS = ("gpt-4o", "claude-3-haiku", "llama-3-8b", "mistral-7b", "qwen-2-7b", "gemma-7b")
CATEGORIES = ("coding", "maths", "writing", "reasoning", "extraction", "roleplay")
VOTES_PER_PAIR = 3
_RUN, _JUDGE, _NOW = "run-1", "judge-1", "2026-01-01T00:00:00+00:00"
_SENTENCES = (
    "The second step depends on the first one.",
    "A shorter version would leave out an exception.",
    "Most of the cost lies in the last tenth of the work.",
    "In practice **three out of four** people notice it.",
    "See [the guide](https://example.org/guide) for the other cases.",
    "The café’s résumé cost 12 € and was worth it.",
    "\n\n- Write down what you know.\n- Mark what you only assume.",
    "\n\n## A small example\n\nTake the list [3, 1, 4] and sort it.",
)
_ROWS = 20_000
"""Rows written at a time."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GoldLedger:
    """So many pairs, each prompt having the same number, and what people voted on them."""

    pairs: int
    prompts: int
    annotators: int = 40
    with_votes: bool = True
    seed: int = 0

    def write(self, path: Path) -> Path:
        """Make the ledger, with one finished run and the votes, and return its path."""
        judge = RunJudge(_JUDGE, "judge", "gpt-4o-mini", "pair-tie", "digest", {})
        with Ledger(path) as ledger:
            begin_run(
                ledger,
                _RUN,
                kind="judge",
                source="pairs.jsonl",
                settings={"rule": "conservative"},
                judges=[judge],
                now=_NOW,
            )
            complete_run(ledger, _RUN)
        connection = sqlite3.connect(path)
        with connection:
            for table, rows in self._tables().items():
                _write(connection, table, rows)
        connection.close()
        return path

    def write_votes(self, path: Path) -> Path:
        """Write the votes as JSON Lines and return the path."""
        with path.open("w", encoding="utf-8") as file:
            for row in self._votes():
                file.write(row["record"] + "\n")
        return path

    def _tables(self) -> Mapping[str, Iterator[Row]]:
        return {
            "contents": self._contents(),
            "pairs": self._pairs(),
            "run_pairs": (
                {"run_id": _RUN, "position": n, "pair_id": f"p{n}", "content_id": f"c{n}"}
                for n in range(self.pairs)
            ),
            "judgments": self._judgments(),
            "votes": self._votes() if self.with_votes else iter(()),
        }

    def _contents(self) -> Iterator[Row]:
        rng = random.Random(f"{self.seed}/contents")
        for n in range(self.pairs):
            first, second = _text(rng, f"A{n}"), _text(rng, f"B{n}")
            yield {
                "content_id": f"c{n}",
                "prompt": _messages("user", f"Question {self._prompt_of(n)}: what would you do?"),
                "first": _messages("assistant", first),
                "second": _messages("assistant", second),
                "first_chars": len(first),
                "second_chars": len(second),
            }

    def _pairs(self) -> Iterator[Row]:
        rng = random.Random(f"{self.seed}/pairs")
        for n in range(self.pairs):
            first, second = rng.sample(SYSTEMS, 2)
            prompt = self._prompt_of(n)
            tags = {"category": CATEGORIES[prompt % len(CATEGORIES)], "language": "en"}
            yield {
                "pair_id": f"p{n}",
                "content_id": f"c{n}",
                "is_exchanged": n % 2,
                "prompt_id": f"q{prompt}",
                "first_model": first,
                "second_model": second,
                "tags": json.dumps(tags),
            }

    def _judgments(self) -> Iterator[Row]:
        rng = random.Random(f"{self.seed}/judgments")
        for n in range(self.pairs):
            said = "A" if rng.random() < 0.5 else "B"
            for order in ("forward", "reversed"):
                verdict = said if order == "forward" else {"A": "B", "B": "A"}[said]
                verdict = rng.choice("ABC") if rng.random() < 0.2 else verdict
                verdict_or_none = None if rng.random() < 0.02 else _VERDICTS[verdict]
                yield {
                    "judgment_id": f"j{n}-{order}",
                    "content_id": f"c{n}",
                    "judge_key": _JUDGE,
                    "order": order,
                    "sample": 0,
                    "reply": _text(rng, order) + f"\n\n[[{verdict}]]",
                    "finish_reason": "stop",
                    "verdict": verdict_or_none,
                    "status": "unparsed" if verdict_or_none is None else None,
                    "input_tokens": 700,
                    "output_tokens": 180,
                    "cost_usd": 0.0004,
                    "latency_s": 1.5,
                    "attempts": 1,
                    "rewrites": 0,
                    "parser": PARSER,
                    "run_id": _RUN,
                    "created_at": _NOW,
                }

    def _votes(self) -> Iterator[Row]:
        rng = random.Random(f"{self.seed}/votes")
        for n in range(self.pairs):
            better = rng.choice(("first", "second"))
            for annotator in rng.sample(range(self.annotators), VOTES_PER_PAIR):
                preference = better if rng.random() < 0.75 else rng.choice(_PREFERENCES)
                vote = {
                    "pair_id": f"p{n}", "annotator": f"annotator-{annotator}",
                    "preference": preference,
                }  # fmt: skip
                yield {"vote_id": f"v{n}-{annotator}", **vote, "record": json.dumps(vote)}

    def _prompt_of(self, pair: int) -> int:
        return pair * self.prompts // self.pairs


_PREFERENCES = ("first", "second", "tie", "both_bad")
_VERDICTS = {"A": "A", "B": "B", "C": "tie"}


def _text(rng: random.Random, name: str) -> str:
    """Between 300 and 1,000 characters."""
    sentences, length, wanted = [f"Answer {name}."], 0, rng.randrange(300, 960)
    while length < wanted:
        sentence = _SENTENCES[int(rng.random() * len(_SENTENCES))]
        sentences.append(sentence)
        length += len(sentence) + 1
    return " ".join(sentences)


def _messages(role: str, text: str) -> str:
    return json.dumps([{"role": role, "content": text}], ensure_ascii=False)


def _write(connection: sqlite3.Connection, table: str, rows: Iterator[Row]) -> None:
    while batch := list(islice(rows, _ROWS)):
        names = ", ".join(f'"{name}"' for name in batch[0])
        marks = ", ".join(f":{name}" for name in batch[0])
        connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", batch)
