"""Pairs of candidates that came in several waves: each pair once, with the wave that made it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judge.candidates.generation import Slot
from judge.candidates.pairing import named_pairs, pair_candidates
from judge.candidates.rounds import Contest, Selecting
from judge.ledger.candidates import slotted_candidates_of
from judge.ledger.runs import ROUNDS_RUN, Run
from judge.ledger.store import Ledger


@dataclass(slots=True)
class LevelPairs:
    """Pairs of a strategy without rounds, level by level: those with a candidate of the level."""

    levels: Sequence[Contest]
    """By level, the slots of each beginning with those of the one before."""
    kind: str = ROUNDS_RUN

    @property
    def identity(self) -> Mapping[str, object]:
        rules = self.levels[0].rules.model_dump(mode="json", exclude_defaults=True)
        return {"candidates": self.levels[0].run_id, "pairing": rules, "until": True}

    def select(self, ledger: Ledger, run: Run, *, is_anew: bool) -> bool:
        """Select every pair of the candidates there are, which are all until the next wave."""
        before: frozenset[Slot] = frozenset()
        with Selecting(ledger, run, is_anew=is_anew) as selecting:
            for contest in self.levels:
                found = slotted_candidates_of(
                    ledger, contest.run_id, contest.slots,
                    keep_truncated=contest.rules.keep_truncated,
                )  # fmt: skip
                for prompt, answers in found:
                    pairing = pair_candidates(
                        prompt.prompt_id,
                        [candidate for _, candidate in answers],
                        contest.rules,
                        generators=[contest.names[slot.generator_key] for slot, _ in answers],
                        after=sum(slot in before for slot, _ in answers),
                    )
                    selecting.add(named_pairs(prompt, pairing))
                before = frozenset(contest.slots)
        return True

    def announce(self) -> None:
        """All is selected before anything is asked, and told with the run."""
