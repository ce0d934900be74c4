"""Labels of a run, derived from the ledger's facts each time they are wanted."""

from collections import Counter
from collections.abc import Iterator, Sequence

from judge.labels import PENDING, Rule, resolve_label
from judge.ledger.facts import JudgedPair, judged_pairs, reading_patterns, whole_pairs
from judge.ledger.runs import IMPORT_RUN, Run
from judge.ledger.store import Ledger
from judge.policy import BOTH_ORDERS
from judge.records import Label, Outcome, Pair, Reading


def labelled_pairs(ledger: Ledger, run: Run) -> Iterator[tuple[JudgedPair, Label]]:
    """Yield every given pair of a run with its label, without texts, in input order."""
    for pair in run_pairs_of(ledger, run):
        yield pair, label_of(run, pair.pair_id, pair.readings)


def labelled_texts(ledger: Ledger, run: Run) -> Iterator[tuple[Pair, Label]]:
    """Yield every given pair of a run with its texts and its label, in input order."""
    found = whole_pairs(ledger, run.run_id, run.judge_keys, one_order=run.one_order)
    for pair, readings in found:
        yield pair, label_of(run, pair.pair_id, readings)


def run_pairs_of(ledger: Ledger, run: Run) -> Iterator[JudgedPair]:
    """Yield every given pair of a run with the readings that its labels rest on."""
    return judged_pairs(ledger, run.run_id, run.judge_keys, one_order=run.one_order)


def label_of(run: Run, pair_id: str, readings: Sequence[Reading]) -> Label:
    """Return the label of a pair of a run: pending until every judge answered what it is asked.

    Judges whose judgments were imported are asked nothing, so those who said nothing about a
    pair are not waited for.
    """
    if run.kind != IMPORT_RUN:
        answered = {(reading.judge_key, reading.order) for reading in readings}
        orders = 1 if run.one_order else len(BOTH_ORDERS)
        if len(answered) < orders * len(run.judges):
            return Label(
                pair_id=pair_id,
                outcome=Outcome.UNDECIDED,
                reason=PENDING,
                rule=run.rule,
                judgments=tuple(sorted(reading.judgment_id for reading in readings)),
            )
    return resolve_label(pair_id, readings, rule=Rule(run.rule))


def count_outcomes(ledger: Ledger, run: Run) -> Counter[str]:
    """Return the number of given pairs by outcome; undecided ones as "undecided: reason"."""
    counts: Counter[str] = Counter()
    found = reading_patterns(
        ledger,
        run.run_id,
        run.judge_keys,
        one_order=run.one_order,
        with_probabilities=Rule(run.rule) is Rule.SOFT,
    )
    for readings, pairs in found:
        counts[name_outcome(label_of(run, "", readings))] += pairs
    return counts


def name_outcome(label: Label) -> str:
    """Return a label's outcome in words, with the reason where there is none."""
    if label.outcome is Outcome.UNDECIDED:
        return f"{label.outcome.value}: {label.reason}"
    return label.outcome.value
