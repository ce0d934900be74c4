"""From stored candidates to a file of pairs, prompt by prompt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import to_json

from judge.atomic import atomic_writer
from judge.candidates.generation import Slot
from judge.candidates.pairing import PairingRules, named_pairs, pair_candidates
from judge.errors import ConfigError
from judge.formats.pairs import pair_row
from judge.ledger.candidates import slotted_candidates_of
from judge.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class PairCounts:
    """What became of the candidates of a run."""

    pairs: int = 0
    candidates: int = 0
    """Before identical and near-identical ones were dropped."""
    identical: int = 0
    near_identical: int = 0
    prompts: int = 0
    prompts_without_pairs: int = 0


def pairs_path(ledger: Path, run_id: str) -> Path:
    """Return where the pairs of a run go unless told otherwise: beside its ledger."""
    return ledger.with_name(f"{ledger.stem}.{run_id}.pairs.jsonl")


def check_out(out: Path, prompts: str) -> None:
    """Raise ConfigError where pairs could not be written, or would replace what they come from."""
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}; make it, or name another")
    if out.exists() and Path(prompts).exists() and out.samefile(prompts):
        raise ConfigError(f"--out {out}: is the file of prompts itself; name another file")


def write_pairs(
    ledger: Ledger,
    run_id: str,
    slots: Sequence[Slot],
    rules: PairingRules,
    out: Path | None,
    *,
    names: Mapping[str, str],
) -> PairCounts:
    """Write the pairs of every prompt that lacks no candidate, and return what was counted.

    The same candidates and rules give the same file, byte for byte. Without `out` they are only
    counted; where rounds decide, those that could be made. `names` are those of the generators, by
    key.
    """
    counts: Counter[str] = Counter()
    if rules.has_rounds:
        rules = PairingRules(
            near_duplicate=rules.near_duplicate, keep_truncated=rules.keep_truncated
        )
    found = slotted_candidates_of(ledger, run_id, slots, keep_truncated=rules.keep_truncated)
    with ExitStack() as stack:
        file = stack.enter_context(atomic_writer(out)) if out is not None else None
        for prompt, answers in found:
            pairing = pair_candidates(
                prompt.prompt_id,
                [candidate for _, candidate in answers],
                rules,
                generators=[names[slot.generator_key] for slot, _ in answers],
            )
            if file is not None:
                for pair in named_pairs(prompt, pairing):
                    file.write_row(to_json(pair_row(pair)))
            counts["pairs"] += len(pairing.pairs)
            counts["candidates"] += len(answers)
            counts["identical"] += pairing.identical
            counts["near_identical"] += pairing.near_identical
            counts["prompts"] += 1
            counts["prompts_without_pairs"] += not pairing.pairs
    return PairCounts(**counts)
