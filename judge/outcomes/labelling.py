"""Labels of a run, derived from the ledger's facts each time they are wanted."""

from collections import Counter
from collections.abc import Iterator, Sequence

from judge.identity import canonical
from judge.ledger.facts import JudgedPair, judged_pairs, reading_patterns, whole_pairs
from judge.ledger.runs import IMPORT_RUN, Run
from judge.ledger.store import Ledger
from judge.outcomes.attributes import with_ratings
from judge.outcomes.labels import PENDING, Rule, resolve_label
from judge.policies.choice import policy_of
from judge.policies.majority import resolve_samples
from judge.policy import BOTH_ORDERS, Policy, counted
from judge.records import Label, Order, Outcome, Pair, Reading


def labelled_pairs(ledger: Ledger, run: Run) -> Iterator[tuple[JudgedPair, Label]]:
    """Yield every given pair of a run with its label, without texts, in input order."""
    policy = policy_of(run.policy_settings, run.judge_keys)
    for pair in run_pairs_of(ledger, run):
        yield pair, label_of_pair(run, pair, policy=policy)


def labelled_texts(ledger: Ledger, run: Run) -> Iterator[tuple[Pair, Label]]:
    """Yield every given pair of a run with its texts and its label, in input order."""
    policy = policy_of(run.policy_settings, run.judge_keys)
    found = whole_pairs(ledger, run.run_id, run.judge_keys, one_order=run.one_order)
    for pair, readings in found:
        content = canonical(pair) if policy.is_staged else None
        yield (
            pair,
            label_of(
                run,
                pair.pair_id,
                readings,
                content_id=content.content_id if content else "",
                is_exchanged=content.is_exchanged if content else False,
                policy=policy,
            ),
        )


def run_pairs_of(ledger: Ledger, run: Run) -> Iterator[JudgedPair]:
    """Yield every given pair of a run with the readings that its labels rest on."""
    return judged_pairs(ledger, run.run_id, run.judge_keys, one_order=run.one_order)


def label_of_pair(run: Run, pair: JudgedPair, *, policy: Policy | None = None) -> Label:
    """Return the label of a pair of a run, as `label_of` does."""
    return label_of(
        run,
        pair.pair_id,
        pair.readings,
        content_id=pair.content_id,
        is_exchanged=pair.is_exchanged,
        policy=policy,
    )


def label_of(
    run: Run,
    pair_id: str,
    readings: Sequence[Reading],
    *,
    content_id: str = "",
    is_exchanged: bool = False,
    policy: Policy | None = None,
) -> Label:
    """Return the label of a pair of a run: pending exactly while its policy wants to ask.

    `readings` are in the given pair's orientation; its content and side are needed only where the
    policy is staged. Judges whose judgments were imported are asked nothing, so those who said
    nothing about a pair are not waited for.
    """
    if run.kind == IMPORT_RUN:
        return with_ratings(resolve_label(pair_id, readings, rule=Rule(run.rule)), readings)
    policy = policy or policy_of(run.policy_settings, run.judge_keys)
    seen = [reading.oriented(is_exchanged=is_exchanged) for reading in readings]
    deciding = policy.deciding(content_id, seen)
    if deciding is None:
        return Label(
            pair_id=pair_id,
            outcome=Outcome.UNDECIDED,
            reason=PENDING,
            rule=run.rule,
            judgments=tuple(sorted(reading.judgment_id for reading in readings)),
        )
    given = [reading.oriented(is_exchanged=is_exchanged) for reading in deciding.readings]
    label = with_ratings(resolve_samples(pair_id, given, rule=Rule(run.rule)), given)
    if deciding.reason is None:
        return label
    left = {"outcome": Outcome.UNDECIDED, "reason": deciding.reason}
    return label.model_copy(update=left)


def own_label(run: Run, readings: Sequence[Reading], *, policy: Policy | None = None) -> Label:
    """Return what one of several judges makes of a pair by itself, whatever the others say."""
    if run.kind == IMPORT_RUN:
        return resolve_label("", readings, rule=Rule(run.rule))
    samples = (policy or policy_of(run.policy_settings, run.judge_keys)).samples
    by_order: dict[Order, list[Reading]] = {}
    for reading in readings:
        by_order.setdefault(reading.order, []).append(reading)
    chosen = [reading for past in by_order.values() for reading in counted(past, samples)]
    expected = tuple(by_order) if run.one_order and by_order else BOTH_ORDERS
    return resolve_samples("", chosen, rule=Rule(run.rule), expected_orders=expected)


def count_outcomes(ledger: Ledger, run: Run) -> Counter[str]:
    """Return the number of given pairs by outcome; undecided ones as "undecided: reason"."""
    counts: Counter[str] = Counter()
    policy = policy_of(run.policy_settings, run.judge_keys)
    if policy.is_staged:
        return Counter(name_outcome(label) for _, label in labelled_pairs(ledger, run))
    found = reading_patterns(
        ledger,
        run.run_id,
        run.judge_keys,
        one_order=run.one_order,
        with_probabilities=Rule(run.rule) is Rule.SOFT,
    )
    for readings, pairs in found:
        counts[name_outcome(label_of(run, "", readings, policy=policy))] += pairs
    return counts


def name_outcome(label: Label) -> str:
    """Return a label's outcome in words, with the reason where there is none."""
    if label.outcome is Outcome.UNDECIDED:
        return f"{label.outcome.value}: {label.reason}"
    return label.outcome.value
