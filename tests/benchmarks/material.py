"""Invented pairs of realistic size and make-up: prose with code, brackets and foreign letters."""

import json
import random
from itertools import count, product
from pathlib import Path

from pydantic_core import to_json

from judge.formats.pairs import parse_pair
from judge.simulator.settings import MODEL
from prompts.loader import load_prompt

QUESTION_CHARS = 700
ANSWER_CHARS = 2600
PARAGRAPH_SENTENCES = 4
BRACKET_SHARE = 0.3
"""Share of texts that hold square brackets: links, indices, footnotes."""
FOREIGN_SHARE = 0.25
"""Share of texts that hold characters outside ASCII."""

_SUBJECTS = (
    "The first step", "A careful reader", "This approach", "The usual formula", "Your example",
    "The second clause", "A shorter version", "The evidence so far", "Most of the cost",
)  # fmt: skip
_VERBS = (
    "depends on", "explains", "leaves out", "follows from", "is easier to check than",
    "should be compared with", "changes",
)  # fmt: skip
_OBJECTS = (
    "the assumption that every trial is independent",
    "what the question actually asks for",
    "the order in which the two lists are merged",
    "the temperature at which the reaction begins",
    "a habit that is hard to break in one week",
    "the difference between a fixed and a variable rate",
    "the tone that you want to keep in the letter",
)
_TAILS = (
    ".",
    ", and that is why it comes first here.",
    ", although there are exceptions worth naming.",
    "; in practice 3 out of 4 people notice it.",
)
_PLAIN = tuple(
    f"{subject} {verb} {thing}{tail}"
    for subject, verb, thing, tail in product(_SUBJECTS, _VERBS, _OBJECTS, _TAILS)
)
_BRACKETS = (
    "See [the reference guide](https://example.org/guide#part-2) for the other cases.",
    "In code that is `rows[i][0] += weights[j]`, repeated for each index in [0, n).",
    "[1] and [2] disagree about this point, so I would trust the measured value [see below].",
    "The list becomes [3, 1, 4, 1, 5] after the first pass and [1, 1, 3, 4, 5] after the second.",
)
_FOREIGN = (
    "The café’s résumé — “naïve”, as she put it — cost 12 € and was worth it.",
    "Roughly π ≈ 3.14159, so the area is 2·π·r² ± 0.1 m².",
    "In Japanese one would write 東京へ行きます, which keeps the particle へ.",
    "Die Größe der Stichprobe genügt für ein Konfidenzintervall von 95 %.",
)


def write_pairs(path: Path, pairs: int, *, seed: int = 0) -> Path:
    """Write so many different pairs as JSON Lines and return the path; about 6 KB a line."""
    rng = random.Random(seed)
    numbers = count(1)
    with path.open("w", encoding="utf-8") as file:
        for position in range(pairs):
            row = {
                "pair_id": f"pair-{position}",
                "prompt": _text(rng, next(numbers), QUESTION_CHARS),
                "first": _text(rng, next(numbers), ANSWER_CHARS),
                "second": _text(rng, next(numbers), ANSWER_CHARS),
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def write_bodies(path: Path, pairs_path: Path) -> Path:
    """Write the chat requests for both orders of every pair, one body a line."""
    prompt = load_prompt("pair-tie")
    with pairs_path.open("rb") as lines, path.open("wb") as bodies:
        for line in lines:
            pair = parse_pair(line)
            answers = pair.first.text, pair.second.text
            for answer_a, answer_b in (answers, answers[::-1]):
                shown = prompt.render(
                    question=pair.prompt.messages[0].content, answer_a=answer_a, answer_b=answer_b
                )
                messages = [
                    {"role": "system", "content": shown.system},
                    {"role": "user", "content": shown.user},
                ]
                body = {"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": 1024}
                bodies.write(to_json(body) + b"\n")
    return path


def _text(rng: random.Random, number: int, chars: int) -> str:
    """Return a text of about so many characters that no other number gives."""
    sentences = [f"Point {number}."]
    length = 0
    while length < chars:
        sentence = _PLAIN[int(rng.random() * len(_PLAIN))]
        sentences.append(sentence)
        length += len(sentence) + 1
    for share, special in ((BRACKET_SHARE, _BRACKETS), (FOREIGN_SHARE, _FOREIGN)):
        if rng.random() < share:
            sentences[len(sentences) // 2] = rng.choice(special)
            sentences.append(rng.choice(special))
    paragraphs = [
        " ".join(sentences[start : start + PARAGRAPH_SENTENCES])
        for start in range(0, len(sentences), PARAGRAPH_SENTENCES)
    ]
    return "\n\n".join(paragraphs)
