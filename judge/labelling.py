"""Labels of a run, derived from the ledger's facts each time they are wanted."""

from collections import Counter
from collections.abc import Iterator, Sequence

from judge.labels import Rule, resolve_label
from judge.ledger.facts import JudgedPair, judged_pairs, whole_pairs
from judge.ledger.runs import Run
from judge.ledger.store import Ledger
from judge.records import Label, Outcome, Pair


def labelled_pairs(ledger: Ledger, run: Run) -> Iterator[tuple[JudgedPair, Label]]:
    """Yield every given pair of a run with its label, without texts, in input order."""
    rule, keys = Rule(run.rule), _judge_keys(run)
    for pair in judged_pairs(ledger, run.run_id, keys):
        yield pair, resolve_label(pair.pair_id, pair.readings, rule=rule)


def labelled_texts(ledger: Ledger, run: Run) -> Iterator[tuple[Pair, Label]]:
    """Yield every given pair of a run with its texts and its label, in input order."""
    rule, keys = Rule(run.rule), _judge_keys(run)
    for pair, readings in whole_pairs(ledger, run.run_id, keys):
        yield pair, resolve_label(pair.pair_id, readings, rule=rule)


def count_outcomes(ledger: Ledger, run: Run) -> Counter[str]:
    """Return the number of given pairs by outcome; undecided ones as "undecided: reason"."""
    return Counter(name_outcome(label) for _, label in labelled_pairs(ledger, run))


def name_outcome(label: Label) -> str:
    """Return a label's outcome in words, with the reason where there is none."""
    if label.outcome is Outcome.UNDECIDED:
        return f"{label.outcome.value}: {label.reason}"
    return label.outcome.value


def _judge_keys(run: Run) -> Sequence[str]:
    return [judge.judge_key for judge in run.judges]
