"""Deleting a run of a ledger file, never by accident."""

from collections.abc import Callable
from pathlib import Path

from judge.errors import ConfigError, LedgerError
from judge.ledger.deletion import Deletion, delete_run
from judge.ledger.handoffs import list_batches
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger


def delete_from_ledger(
    path: Path, run_id: str, *, confirm: Callable[[Deletion], bool] | None = None
) -> Deletion | None:
    """Delete a run with the facts that no other run uses; return what went, None if declined.

    The run is named by its id, for "latest" may be another one than was meant. Raises ConfigError
    for "latest", and LedgerError where there is no such run, where people were handed pairs of it,
    or where the ledger is in use.
    """
    if run_id == "latest":
        raise ConfigError('"latest" cannot be deleted; name the run by its id, see judge runs list')
    with Ledger(path, read_only=True) as reader:  # opening for writing would make a missing file
        find_run(reader, run_id)
        batches = [batch.name for batch in list_batches(reader) if batch.run_id == run_id]
    if batches:
        raise LedgerError(
            f"run {run_id}: people were handed {', '.join(batches)} from it, and their answers are "
            "read against it; it stays"
        )
    with Ledger(path) as ledger:
        return delete_run(ledger, run_id, confirm=confirm)
