"""From judgments to a label: how two orders, several samples and several judges collapse.

Pure. Every reading and every label here is in the orientation of the pair id it is read with
(`Reading.oriented`). A failure is never a vote and never a tie.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from judge.outcomes.soft import probable_verdict, soft_verdict
from judge.policy import BOTH_ORDERS
from judge.records import Label, Order, Outcome, Preference, Reading, Status, preference_from

PENDING = "pending"
"""`Label.reason` while an expected order has not been asked."""
SPLIT = "split"
"""`Label.reason` where several judges have no majority."""

_SCORES = {Preference.FIRST: 1, Preference.TIE: 0, Preference.SECOND: -1}

_GRAVEST_FIRST = (Status.FAILED, Status.REFUSED, Status.TRUNCATED, Status.UNPARSED)


class Rule(StrEnum):
    """How the verdicts of two orders become one outcome."""

    CONSERVATIVE = "conservative"
    """Only what both orders say; otherwise inconsistent (MT-Bench, arXiv 2306.05685, 3.4)."""
    LENIENT = "lenient"
    """+1 or -1 per order, then the sign of the sum (JudgeBench, arXiv 2410.12784)."""
    SOFT = "soft"
    """By the probability of the first candidate: the mean log-odds of both orders where replies
    carry token probabilities, otherwise the mean of 1, 0.5 and 0 over the verdicts
    (`judge.outcomes.soft`).
    """
    SINGLE_RANDOM = "single_random"
    """What the one order says that is asked, drawn per pair: half the price, bias unseen."""


@dataclass(frozen=True, slots=True)
class _Ballot:
    """What one judge says about a pair: an outcome, or the reason why there is none."""

    outcome: Outcome | None
    reason: str | None
    judgments: tuple[str, ...]
    probability: float | None = None
    """That the first candidate wins, in [0, 1]; by votes under the soft rule only."""


def collapse(
    forward: Preference | None, reversed_: Preference | None, *, rule: Rule
) -> Outcome | None:
    """Return the outcome of the two orders' preferences under `rule`, or None for no outcome.

    None as a preference means that the order gave no verdict. The conservative rule then gives no
    outcome; the others take the other order's preference, if there is one.
    """
    if rule is Rule.CONSERVATIVE:
        if forward is None or reversed_ is None:
            return None
        return Outcome(forward.value) if forward is reversed_ else Outcome.INCONSISTENT
    scores = [_SCORES[said] for said in (forward, reversed_) if said is not None]
    if not scores:
        return None
    total = sum(scores)
    if total == 0:
        return Outcome.TIE
    return Outcome.FIRST if total > 0 else Outcome.SECOND


def resolve_label(
    pair_id: str,
    judgments: Sequence[Reading],
    *,
    rule: Rule,
    expected_orders: Sequence[Order] | None = None,
) -> Label:
    """Return the label of `pair_id` from the judgments of one or more judges, in any sequence.

    Per judge and order counts the verdict of the lowest sample number that has one, under the soft
    rule every verdict. Several judges decide by strict majority of those with an outcome,
    `inconsistent` being one; the others do not vote. The probability is the mean of those judges',
    and there is none where one of them has none. With no outcome at all, the reason is that of the
    first judge by `judge_key`: `pending` while an expected order has no judgment, whatever the
    rule; otherwise the gravest status among its orders (failed, refused, truncated, unparsed),
    each that of the highest sample.
    Expected are both orders, or under `single_random` the one that there is. Judgments of another
    order are ignored; with one expected order, its preference is the outcome. Raises ValueError
    if `expected_orders` is empty.
    """
    if expected_orders is None:
        expected_orders = _expected(judgments, rule)
    if not expected_orders:
        raise ValueError(f"pair {pair_id}: no expected order; pass at least one of {BOTH_ORDERS}")
    judges = sorted({judgment.judge_key for judgment in judgments})
    ballots = [
        _ballot([j for j in judgments if j.judge_key == judge], rule, expected_orders)
        for judge in judges
    ]
    decided = [ballot for ballot in ballots if ballot.outcome is not None]
    outcome, reason = _majority(decided) if decided else (None, _first_reason(ballots))
    told = [ballot.probability for ballot in decided if ballot.probability is not None]
    probability = sum(told) / len(told) if told and len(told) == len(decided) else None
    return Label(
        pair_id=pair_id,
        outcome=outcome or Outcome.UNDECIDED,
        reason=reason,
        probability=probability,
        margin=None if probability is None else abs(2 * probability - 1),
        rule=rule.value,
        judgments=tuple(sorted(id_ for ballot in decided or ballots for id_ in ballot.judgments)),
    )


def order_preferences(
    readings: Sequence[Reading],
) -> tuple[Preference | None, Preference | None]:
    """Return what one judge preferred in the forward and in the reversed order, None for nothing.

    The deciding reading of an order is the one that `resolve_label` uses.
    """
    chosen = [_deciding(r for r in readings if r.order is order) for order in BOTH_ORDERS]
    forward, reversed_ = [None if reading is None else _preference(reading) for reading in chosen]
    return forward, reversed_


def _ballot(judgments: Sequence[Reading], rule: Rule, expected_orders: Sequence[Order]) -> _Ballot:
    """Collapse the judgments of one judge."""
    orders = [order for order in BOTH_ORDERS if order in expected_orders]
    chosen = [_deciding(j for j in judgments if j.order is order) for order in orders]
    asked = [judgment for judgment in chosen if judgment is not None]
    ids = tuple(judgment.judgment_id for judgment in asked)
    if len(asked) < len(orders):
        return _Ballot(None, PENDING, ids)
    if rule is Rule.SOFT:
        return _soft_ballot(judgments, asked, orders)
    said = [_preference(judgment) for judgment in asked]
    if len(said) == 1:
        outcome = Outcome(said[0].value) if said[0] is not None else None
    else:
        outcome = collapse(*said, rule=rule)
    if outcome is None:
        return _Ballot(None, _gravest(asked), ids)
    soft = probable_verdict(judgments, orders=orders)
    return _Ballot(outcome, None, ids, soft.probability if soft else None)


def _soft_ballot(
    judgments: Sequence[Reading], asked: Sequence[Reading], orders: Sequence[Order]
) -> _Ballot:
    """Collapse by every verdict of the orders; `asked` is what decides where there is none."""
    soft = soft_verdict(judgments, orders=orders)
    if soft is None:
        return _Ballot(None, _gravest(asked), tuple(one.judgment_id for one in asked))
    heard = {one.judgment_id for one in judgments if one.verdict and one.order in orders}
    return _Ballot(
        soft.outcome, None, tuple(heard | {one.judgment_id for one in asked}), soft.probability
    )


def _expected(judgments: Sequence[Reading], rule: Rule) -> Sequence[Order]:
    if rule is not Rule.SINGLE_RANDOM:
        return BOTH_ORDERS
    return tuple({judgment.order for judgment in judgments}) or BOTH_ORDERS


def _deciding(judgments: Iterable[Reading]) -> Reading | None:
    """Return the lowest sample with a verdict, or the highest without; None if there is none."""
    by_sample = list(judgments)
    if len(by_sample) == 1:  # nearly always
        return by_sample[0]
    by_sample.sort(key=lambda judgment: (judgment.sample, judgment.judgment_id))
    with_verdict = (judgment for judgment in by_sample if judgment.verdict is not None)
    return next(with_verdict, by_sample[-1] if by_sample else None)


def _preference(judgment: Reading) -> Preference | None:
    if judgment.verdict is None:
        return None
    return preference_from(judgment.verdict, judgment.order)


def _gravest(judgments: Sequence[Reading]) -> str:
    """Return the status to name as the reason: the one that asking again mends least."""
    found = {judgment.status for judgment in judgments}
    return next(status.value for status in _GRAVEST_FIRST if status in found)


def _majority(ballots: Sequence[_Ballot]) -> tuple[Outcome | None, str | None]:
    """Return the outcome that more than half of the ballots share, or no outcome and `split`."""
    if len(ballots) == 1:
        return ballots[0].outcome, None
    (outcome, votes), *_ = Counter(ballot.outcome for ballot in ballots).most_common(1)
    return (outcome, None) if 2 * votes > len(ballots) else (None, SPLIT)


def _first_reason(ballots: Sequence[_Ballot]) -> str | None:
    return ballots[0].reason if ballots else PENDING
