"""Which part of a shown pair fills a hole of a template."""

from collections.abc import Sequence

from prompts.errors import PromptError
from prompts.shown import ChatMessage, Shown

ANSWER_HOLES = frozenset({"question", "answer_a", "answer_b"})
CONVERSATION_HOLES = frozenset({"conversation_a", "conversation_b"})
REFERENCE_HOLES = frozenset({"reference", "ref_answer_1", "ref_answer_2"})
TWO_TURN_HOLES = frozenset(
    {"question_1", "answer_a_1", "answer_b_1", "question_2", "answer_a_2", "answer_b_2"}
)
"""FastChat's, for conversations of exactly two user turns."""

_TWO_TURNS = ["user", "assistant"] * 2


def filling(hole: str, shown: Shown) -> str | Sequence[ChatMessage]:
    """Return what fills `hole`: a text, or the messages of a conversation.

    Raises PromptError where the pair does not have it; the message begins with the cause.
    """
    if hole in ANSWER_HOLES:
        return str(getattr(shown, hole))
    if hole in CONVERSATION_HOLES:
        return _conversation(shown, side=hole[-1])
    if hole in REFERENCE_HOLES:
        return _reference(hole, shown.references)
    name, _, turn = hole.rpartition("_")
    messages = _conversation(shown, side="b" if name == "answer_b" else "a")
    roles = [message["role"] for message in messages]
    if roles != _TWO_TURNS:
        raise PromptError(
            "two user turns with an answer to each are needed and the pair has "
            f"{', '.join(roles)}; judge it with a prompt for its turns, such as pair-multi-turn"
        )
    return str(messages[2 * int(turn) - (2 if name == "question" else 1)]["content"])


def _conversation(shown: Shown, *, side: str) -> Sequence[ChatMessage]:
    messages = shown.conversation_a if side == "a" else shown.conversation_b
    if messages:
        return messages
    answer = shown.answer_a if side == "a" else shown.answer_b
    return (
        {"role": "user", "content": shown.question},
        {"role": "assistant", "content": answer},
    )


def _reference(hole: str, references: Sequence[str]) -> str:
    if not references:
        raise PromptError(
            'a reference answer is needed and the pair has none; give the pair a "reference", '
            "or judge it with a prompt that needs none, such as pair-tie"
        )
    if hole == "reference":
        return "\n\n".join(references)
    turn = int(hole[-1])
    if turn > len(references):
        raise PromptError(
            f"a reference answer to turn {turn} is needed and the pair has {len(references)} in "
            "all; judge it with a prompt that needs none, such as pair-multi-turn"
        )
    return references[turn - 1]
