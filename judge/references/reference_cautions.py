"""What to say before judges that need a reference are asked about pairs that have none."""

from collections.abc import Sequence

from judge.errors import InputError
from judge.job.judging import ResolvedJudge
from judge.ledger.references import count_without_reference
from judge.ledger.runs import Run
from judge.ledger.store import Ledger


def reference_cautions(ledger: Ledger, run: Run, judges: Sequence[ResolvedJudge]) -> list[str]:
    """Return a warning where some pairs of a run lack the reference that a judge needs.

    Nothing is sent for those. Raises InputError where every pair lacks it.
    """
    needing = [judge for judge in judges if judge.prompt.needs_reference]
    if not needing:
        return []
    lacking, total = count_without_reference(ledger, run.run_id)
    if not lacking:
        return []
    name, prompt = needing[0].name, needing[0].prompt.name
    remedy = 'give them a "reference", or judge them with a prompt such as pair-tie'
    if lacking == total:
        raise InputError(
            f'judge "{name}": its prompt {prompt} shows a reference and none of the {total:,} '
            f"pairs has one; {remedy}"
        )
    return [
        f'judge "{name}": its prompt {prompt} shows a reference and {lacking:,} of {total:,} pairs '
        f"have none; nothing is sent for those and they count as failed; {remedy}"
    ]
