"""What a judge is shown of one pair: the input that every template is filled from."""

from collections.abc import Sequence
from dataclasses import dataclass

from prompts.errors import PromptError
from prompts.neutralise import neutralise
from prompts.steps import ChatMessage, steps

__all__ = ["TURN_LAYOUT", "ChatMessage", "Shown", "conversation", "conversation_text"]

TURN_LAYOUT = "turns/1"
"""Name and version of the way a conversation is laid out; part of a template's digest. Tool calls
came later, and whatever holds none is laid out as before."""


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


def conversation(
    prompt: Sequence[ChatMessage], answers: Sequence[str | Sequence[ChatMessage]]
) -> list[ChatMessage]:
    """Return the messages of `prompt` with one side's answers in their places.

    A single answer is the one to the last turn and what stands before it is shared context;
    several answer one user message each. An answer is a text, or the messages of an agent with
    its tools. Raises PromptError for any other number.
    """
    turns = sum(message["role"] == "user" for message in prompt)
    if len(answers) == 1:
        return [*prompt, *_answer(answers[0])]
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
            messages += _answer(next(left))
    return messages


def conversation_text(messages: Sequence[ChatMessage], assistant: str) -> tuple[str, int]:
    """Return a conversation as a block to show, and how many spots of it were neutralised.

    Before each step stands a heading such as `[Turn 2: User]`, `[Turn 2: Assistant A]` or `[Turn
    2: Tool, result of call 1: search]`, where `assistant` is the letter; a turn begins with each
    user message.
    """
    parts: list[str] = []
    spots = 0
    for step in steps(messages):
        is_assistant = step.speaker == "Assistant"
        speaker = f"Assistant {assistant}" if is_assistant else step.speaker
        text, rewritten = neutralise(step.text)
        spots += rewritten
        parts.append(f"[Turn {step.turn}: {speaker}{step.about}]\n{text}")
    return "\n\n".join(parts), spots


def _answer(answer: str | Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    return [{"role": "assistant", "content": answer}] if isinstance(answer, str) else answer
