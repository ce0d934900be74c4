"""Putting the prompts of an input into the ledger and selecting them for a run."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert

from judge.candidates.generation import prompt_key
from judge.ledger.schema import prompts, run_prompts
from judge.ledger.store import Ledger
from judge.records import Prompt


def add_prompts(ledger: Ledger, run_id: str, given: Sequence[Prompt]) -> int:
    """Store prompts and select them for a run, after those it has; return how many were new to it.

    The same conversation under the same `prompt_id` is selected once, as it came first.
    """
    keyed = [(prompt_key(prompt.messages), prompt) for prompt in given]
    with ledger.transaction() as connection:
        chosen = _unselected(connection, run_id, keyed)
        if not chosen:
            return 0
        highest = select(func.max(run_prompts.c.position)).where(run_prompts.c.run_id == run_id)
        last = connection.scalar(highest)
        start = 0 if last is None else last + 1
        contents = [
            {"prompt_key": key, "messages": to_json(prompt.messages).decode()}
            for key, prompt in chosen
        ]
        connection.execute(insert(prompts).on_conflict_do_nothing(), contents)
        selected = [
            _selected(run_id, start + offset, key, prompt)
            for offset, (key, prompt) in enumerate(chosen)
        ]
        connection.execute(insert(run_prompts), selected)
    return len(chosen)


def _selected(run_id: str, position: int, key: str, prompt: Prompt) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "position": position,
        "prompt_key": key,
        "prompt_id": prompt.prompt_id,
        "reference": prompt.reference,
        "tags": to_json(prompt.tags).decode(),
    }


def _unselected(
    connection: Connection, run_id: str, keyed: Sequence[tuple[str, Prompt]]
) -> list[tuple[str, Prompt]]:
    keys = {key for key, _ in keyed}
    query = select(run_prompts.c.prompt_key, run_prompts.c.prompt_id).where(
        run_prompts.c.run_id == run_id, run_prompts.c.prompt_key.in_(keys)
    )
    seen = {(row.prompt_key, row.prompt_id) for row in connection.execute(query)}
    chosen = []
    for key, prompt in keyed:
        if (key, prompt.prompt_id) not in seen:
            seen.add((key, prompt.prompt_id))
            chosen.append((key, prompt))
    return chosen
