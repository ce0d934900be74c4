"""What a judge is shown of one pair: the input that every template is filled from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prompts.errors import PromptError
from prompts.neutralise import neutralise

ChatMessage = Mapping[str, str]
"""`role` (system, user, assistant or tool) and `content`, as in a chat request."""

TURN_LAYOUT = "turns/1"
"""Name and version of the way a conversation is laid out; part of a template's digest."""

_SPEAKERS = {"system": "System", "user": "User", "tool": "Tool"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One pair in the order it is shown in. Each template takes from it what it has holes for."""

    question: str
    """One text; a conversation to answer stands here as a transcript."""
    answer_a: str
    answer_b: str
    references: Sequence[str] = ()
    """One for the whole question, or one per user turn."""
    conversation_a: Sequence[ChatMessage] = ()
    """All messages up to the last answer; empty where question and answer are all there is."""
    conversation_b: Sequence[ChatMessage] = ()

    @property
    def exchanged(self) -> "Shown":
        """The same pair with A shown as B and B as A."""
        return Shown(
            self.question,
            self.answer_b,
            self.answer_a,
            self.references,
            self.conversation_b,
            self.conversation_a,
        )


def conversation(prompt: Sequence[ChatMessage], answers: Sequence[str]) -> list[ChatMessage]:
    """Return the messages of `prompt` with one side's answers in their places.

    A single answer is the one to the last turn and what stands before it is shared context;
    several answer one user message each. Raises PromptError for any other number.
    """
    turns = sum(message["role"] == "user" for message in prompt)
    if len(answers) == 1:
        return [*prompt, _answer(answers[0])]
    if len(answers) != turns:
        raise PromptError(
            f"conversation: {len(answers)} answers to {turns} user turns; "
            "answer the last turn once, or every turn once"
        )
    messages: list[ChatMessage] = []
    left = iter(answers)
    for message in prompt:
        messages.append(message)
        if message["role"] == "user":
            messages.append(_answer(next(left)))
    return messages


def conversation_text(messages: Sequence[ChatMessage], assistant: str) -> tuple[str, int]:
    """Return a conversation as a block to show, and how many spots of it were neutralised.

    Before each message stands a heading such as `[Turn 2: User]` or `[Turn 2: Assistant A]`, where
    `assistant` is the letter; a turn begins with each user message.
    """
    parts: list[str] = []
    turn = spots = 0
    for message in messages:
        role = message["role"]
        turn += role == "user"
        speaker = f"Assistant {assistant}" if role == "assistant" else _SPEAKERS.get(role)
        if speaker is None:
            raise PromptError(
                f"conversation: unknown role {role!r}; the roles are assistant, system, tool, user"
            )
        text, rewritten = neutralise(message["content"])
        spots += rewritten
        # What stands before the user's first words, such as a system message, is part of turn 1.
        parts.append(f"[Turn {max(turn, 1)}: {speaker}]\n{text}")
    return "\n\n".join(parts), spots


def _answer(text: str) -> ChatMessage:
    return {"role": "assistant", "content": text}
