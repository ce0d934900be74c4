"""What the checks of references came to, put into the labels of their pairs."""

from collections.abc import Iterable, Iterator
from itertools import islice

from judge.identity import canonical
from judge.ledger.references import has_checks, reference_statuses
from judge.ledger.runs import Run
from judge.ledger.store import Ledger
from judge.records import Label, Pair

_CHUNK = 200


def with_references(
    ledger: Ledger, run: Run, labelled: Iterable[tuple[Pair, Label]]
) -> Iterator[tuple[Pair, Label]]:
    """Yield pairs with their labels, which tell what the check of the reference came to."""
    if not has_checks(ledger, run.run_id):
        yield from labelled
        return
    left = iter(labelled)
    while chunk := list(islice(left, _CHUNK)):
        ids = [canonical(pair).content_id for pair, _ in chunk]
        statuses = reference_statuses(ledger, ids)
        for (pair, label), content_id in zip(chunk, ids, strict=True):
            status = statuses.get(content_id)
            told = {"reference": status.value if status else None}
            yield pair, label.model_copy(update=told)
