"""Two conversations shown side by side, read back as one question and two answers. Pure.

What is read has the letters and digits that `judge.job.showing` gives the same pair as texts, so
the hidden truth about the pair is the same under every template.
"""

import re
from dataclasses import dataclass
from itertools import groupby

_HEADING = re.compile(r"^\[Turn (\d+): (System|User|Assistant|Tool)(?: [AB])?([^\]\n]*)\]$", re.M)


@dataclass(frozen=True, slots=True)
class Conversations:
    """The two conversations of a judge prompt, and where they stand in it."""

    question: str
    answer_a: str
    answer_b: str
    begin: int
    end: int


def read_conversations(text: str) -> Conversations | None:
    """Return the conversations of a judge prompt, or None where it does not show two."""
    block_a = _block(text, "A", begin=0)
    block_b = _block(text, "B", begin=block_a[1]) if block_a else None
    if block_a is None or block_b is None:
        return None
    a, b = _steps(text[slice(*block_a)]), _steps(text[slice(*block_b)])
    if not a or not b:
        return None
    shared = 0
    while shared < min(len(a), len(b)) and a[shared] == b[shared]:
        shared += 1
    # Candidates that begin alike, or are the same, still answer what stands up to the last user.
    shared = min(shared, _answer_begins(a), _answer_begins(b))
    if any(speaker == "User" for speaker, *_ in (*a[shared:], *b[shared:])):
        question = [step for step in a if step[0] in ("System", "User")]
        answers = [[step for step in side if step not in question] for side in (a, b)]
    else:
        question, answers = a[:shared], [a[shared:], b[shared:]]
    return Conversations(
        _question(question), _answer(answers[0]), _answer(answers[1]), block_a[0], block_b[1]
    )


_Step = tuple[str, str, str]
"""The speaker with what the heading says beside it, the text, and the turn."""
_CALL = re.compile(r"(?<=call )\d+")


def _block(text: str, letter: str, *, begin: int) -> tuple[int, int] | None:
    opening = f"[The Start of Assistant {letter}'s Conversation with the User]"
    start = text.find(opening, begin)
    if start < 0:
        return None
    start += len(opening)
    end = text.find(f"[The End of Assistant {letter}'s Conversation with the User]", start)
    return None if end < 0 else (start, end)


def _steps(block: str) -> list[_Step]:
    headings = list(_HEADING.finditer(block))
    ends = [*(heading.start() for heading in headings[1:]), len(block)]
    return [
        (heading[2] + heading[3], block[heading.end() : end].strip("\n"), heading[1])
        for heading, end in zip(headings, ends, strict=True)
    ]


def _answer_begins(steps: list[_Step]) -> int:
    """Return how many steps come before the last answer."""
    last = max((at for at, (speaker, *_) in enumerate(steps) if speaker == "User"), default=-1)
    while last + 1 < len(steps) and not steps[last + 1][0].startswith("Assistant"):
        last += 1
    return last + 1


def _question(steps: list[_Step]) -> str:
    if len(steps) == 1:
        return steps[0][1]
    return "\n\n".join(f"{speaker}: {text}" for speaker, text, _ in steps)


def _answer(steps: list[_Step]) -> str:
    """Return an answer as texts alone, or as transcripts of the turns in which tools are at work.

    A transcript numbers the calls of its own turn.
    """
    parts = []
    for _, steps_of_turn in groupby(steps, key=lambda step: step[2]):
        turn = list(steps_of_turn)
        if all(speaker == "Assistant" for speaker, *_ in turn):
            parts += [text for _, text, _ in turn]
        else:
            parts += _transcript(turn)
    return "\n\n".join(parts)


def _transcript(turn: list[_Step]) -> list[str]:
    numbers: dict[str, str] = {}

    def own(number: re.Match[str]) -> str:
        return numbers.setdefault(number[0], str(len(numbers) + 1))

    return [f"{_CALL.sub(own, speaker)}: {text}" for speaker, text, _ in turn]
