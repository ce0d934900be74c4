"""What the prefix cache is measured with: real prompts, four candidates each, all their pairs."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from judge.chat import ChatRequest
from judge.job.judging import Ask, ResolvedJudge, request_of
from judge.records import Order
from prompts.shown import Shown
from tests.benchmarks.machine import ROOT

DATA = ROOT.parent / "shared" / "data"
CANDIDATES = 4
SEED = 20


@dataclass(frozen=True, slots=True)
class Material:
    """One prompt and its candidates."""

    question: str
    answers: tuple[str, ...]


def material(limit: int | None = None) -> list[Material]:
    """Return 170 prompts of PandaLM and 80 of MT-Bench, four candidates each.

    Where the data holds fewer, a candidate's first half and its sentences in reverse make up the
    number. `limit` takes a seeded sample.
    """
    found = [
        Material(question, _four(answers)) for question, answers in (*_pandalm(), *_mt_bench())
    ]
    if limit is not None and limit < len(found):
        chosen = sorted(random.Random(SEED).sample(range(len(found)), limit))
        found = [found[index] for index in chosen]
    return found


def _pandalm() -> Iterator[tuple[str, list[str]]]:
    lines = json.loads((DATA / "pandalm" / "testset-v1.json").read_text(encoding="utf-8"))
    answers: dict[str, list[str]] = {}
    for line in lines:
        question = "\n\n".join(filter(None, (line["instruction"], line["input"])))
        answers.setdefault(question, []).extend((line["response1"], line["response2"]))
    yield from answers.items()


def _mt_bench() -> Iterator[tuple[str, list[str]]]:
    folder = DATA / "mt_bench"
    answers: dict[int, list[str]] = {}
    for path in (
        folder / "model_answer" / "phi-3.jsonl",
        folder / "model_answer" / "phi-3-dpo.jsonl",
        folder / "reference_answer" / "gpt-4.jsonl",
    ):
        for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            answers.setdefault(line["question_id"], []).append(line["choices"][0]["turns"][0])
    for line in map(json.loads, (folder / "question.jsonl").read_text("utf-8").splitlines()):
        yield line["turns"][0], answers[line["question_id"]]


def _four(answers: Sequence[str]) -> tuple[str, ...]:
    """Return four different answers."""
    found = list(
        dict.fromkeys(answer for answer in answers if isinstance(answer, str) and answer.strip())
    )[:CANDIDATES]
    for answer in tuple(found):
        sentences = re.split(r"(?<=[.!?\n])\s+", answer)
        half = " ".join(sentences[: (len(sentences) + 1) // 2])
        found += [text for text in (" ".join(reversed(sentences)), half) if text not in found]
    number = 1
    while len(found) < CANDIDATES:
        found.append(f"{found[0]} ({number})")
        number += 1
    return tuple(found[:CANDIDATES])


def write_pairs(path: Path, prompts: Sequence[Material], *, shuffled: bool = False) -> Path:
    """Write every pair of every prompt's candidates, those of a prompt together or at random."""
    lines = [
        json.dumps({"prompt": prompt.question, "first": first, "second": second})
        for prompt in prompts
        for first, second in combinations(prompt.answers, 2)
    ]
    if shuffled:
        random.Random(SEED).shuffle(lines)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def all_asks(prompts: Sequence[Material], judge: ResolvedJudge) -> list[Ask]:
    """Return every pair in both orders, pair by pair."""
    return [
        Ask(f"{number}", Shown(prompt.question, first, second), judge, order, 0)
        for number, prompt in enumerate(prompts)
        for first, second in combinations(prompt.answers, 2)
        for order in Order
    ]


def requests_of(asks: Sequence[Ask]) -> list[ChatRequest]:
    """Return what is sent for asks."""
    return [
        request_of(
            ask.judge,
            ask.judge.prompt.render_pair(
                ask.shown if ask.order is Order.FORWARD else ask.shown.exchanged
            ),
        )
        for ask in asks
    ]
