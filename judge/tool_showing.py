"""What a judge is shown of a pair in which tools are called. Slower than for plain texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from judge.identity import messages_from_json
from judge.trajectories import answer_text, answers_by_turn
from prompts.shown import Shown, conversation
from prompts.steps import transcript


def shown_with_tools(
    prompt: Sequence[Mapping[str, Any]],
    first_json: str,
    second_json: str,
    references: Sequence[str],
) -> Shown:
    """Return the conversations turn by turn, and as transcripts for templates that show texts."""
    first, second = (
        answers_by_turn(messages_from_json(told)) for told in (first_json, second_json)
    )
    is_text = len(prompt) == 1 and not prompt[0].get("tool_calls")
    rows = [[[message.row for message in turn] for turn in side] for side in (first, second)]
    return Shown(
        question=prompt[0]["content"] if is_text else transcript(prompt),
        answer_a="\n\n".join(map(answer_text, first)),
        answer_b="\n\n".join(map(answer_text, second)),
        references=references,
        conversation_a=conversation(prompt, rows[0]),
        conversation_b=conversation(prompt, rows[1]),
    )
