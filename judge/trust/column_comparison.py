"""Columns of runs become a comparison of their judges, pair by pair. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import Codes, Index, Mask, VoteColumns
from calibration.compare import Bucket, bucket_of, compare_judges, compare_many
from calibration.intervals import Floats
from calibration.label_shift import LabelShift, label_shift
from calibration.report.columns import JudgeColumns
from calibration.significance import ChiSquareTest
from judge.trust.audit import Gathered
from judge.trust.comparison import (
    OUTCOMES,
    Change,
    ComparisonSettings,
    Couple,
    JudgeComparison,
    Side,
    bucket_name,
)
from judge.trust.contenders import Contender
from judge.trust.gold_split import prompts_under_test, split_gathered

SHOWN = 10
"""Changed pairs that are named; the rest are counted."""

_NO_LABEL = OUTCOMES.index("no label")
_INCONSISTENT = OUTCOMES.index("inconsistent")
_OF_CODE = np.array([OUTCOMES.index("second"), OUTCOMES.index("tie"), OUTCOMES.index("first")])
_CHOICES = {"first": 2, "second": 0, "tie": 1}
"""Columns of the counted votes."""
_TOLD_FIRST = (Bucket.BROKEN, Bucket.FIXED)


@dataclass(frozen=True)
class _Aligned:
    """One judge's labels on the common pairs."""

    label: Codes
    has_label: Mask
    outcome: NDArray[np.intp]
    """Places in `OUTCOMES`."""


def compare_gathered(
    contenders: Sequence[Contender],
    gathered: Mapping[str, Gathered],
    settings: ComparisonSettings,
) -> JudgeComparison:
    """Return the comparison of judges from the columns of their runs, by run id.

    Votes are those of the first judge's run. Pairs are the same where their ids are.
    """
    base = split_gathered(gathered[contenders[0].run.run_id], settings.split, share=settings.share)
    rows = _common_rows(base, gathered)
    aligned = [_aligned(c, gathered[c.run.run_id], rows[c.run.run_id]) for c in contenders]
    own = rows[base.run.run_id]
    votes = base.votes.counts(len(base.pair_ids))[own]
    cluster = base.pairs.cluster[own]
    both = np.logical_and.reduce([one.has_label for one in aligned])
    labels = [one.label[both] for one in aligned]
    seen = np.zeros(len(base.pair_ids), np.bool_)
    seen[own[both]] = True
    used = base.votes.on(seen)
    sides = tuple(
        _side(c, gathered[c.run.run_id], one) for c, one in zip(contenders, aligned, strict=True)
    )
    couples, q = _couples(labels, votes[both], cluster[both], sides=sides, settings=settings)
    outcomes = np.stack([one.outcome for one in aligned])
    is_two = len(aligned) == 2
    return JudgeComparison(
        settings=settings,
        sides=sides,
        common=len(own),
        compared=int(both.sum()),
        equal=int(np.sum(np.all(outcomes == outcomes[0], axis=0))),
        votes_used=len(used.pair),
        votes_left_out=_left_out(base, own, used),
        gold=base.source or "votes in the ledger",
        couples=couples,
        q=q,
        shift=_shift(outcomes[:, both], cluster[both]) if is_two else None,
        outcomes=_outcome_table(outcomes) if is_two else {},
        changed=_changed(base, own, aligned, votes) if is_two else (),
        prompts=prompts_under_test(replace(base, votes=used), share=settings.share),
        facts=_facts(base, own[both], labels, votes[both]),
    )


def _common_rows(base: Gathered, gathered: Mapping[str, Gathered]) -> dict[str, Index]:
    """Return run id -> rows of the pairs that all runs select, in the order of the first."""
    places = {
        run_id: {p: row for row, p in enumerate(g.pair_ids)} for run_id, g in gathered.items()
    }
    common = [p for p in base.pair_ids if all(p in rows for rows in places.values())]
    return {run_id: np.array([rows[p] for p in common], np.intp) for run_id, rows in places.items()}


def _columns_of(contender: Contender, gathered: Gathered) -> JudgeColumns:
    if contender.judge is None:
        return gathered.delivered
    return next(columns for columns in gathered.judges if columns.name == contender.judge)


def _aligned(contender: Contender, gathered: Gathered, rows: Index) -> _Aligned:
    columns = _columns_of(contender, gathered)
    label, has_label = columns.label[rows], columns.has_label[rows]
    outcome = np.where(columns.inconsistent[rows], _INCONSISTENT, _OF_CODE[label.astype(int) + 1])
    return _Aligned(label, has_label, np.where(has_label, outcome, _NO_LABEL).astype(np.intp))


def _side(contender: Contender, gathered: Gathered, aligned: _Aligned) -> Side:
    run, name = contender.run, _columns_of(contender, gathered).name
    judges = [judge for judge in run.judges if judge.name == name] or run.judges
    return Side(
        name=contender.name,
        run_id=run.run_id,
        judge=name,
        rule=run.rule,
        models=tuple(judge.model for judge in judges),
        prompts=tuple(f"{judge.prompt} ({judge.prompt_digest[:12]})" for judge in judges),
        pairs=len(gathered.pair_ids),
        labelled=int(aligned.has_label.sum()),
    )


def _couples(
    labels: Sequence[Codes],
    votes: Floats,
    cluster: Index,
    *,
    sides: Sequence[Side],
    settings: ComparisonSettings,
) -> tuple[tuple[Couple, ...], ChiSquareTest | None]:
    metric, margin = settings.metric, settings.margin
    if len(labels) == 2:
        first, second = labels
        found = compare_judges(first, second, votes, cluster, metric=metric, margin=margin)
        return (Couple(sides[0].name, sides[1].name, found, found.p.p),), None
    many = compare_many(labels, votes, cluster, metric=metric, margin=margin)
    couples = (
        Couple(sides[i].name, sides[j].name, found, many.p_holm[i, j])
        for (i, j), found in many.couples.items()
    )
    return tuple(couples), many.q


def _left_out(base: Gathered, rows: Index, used: VoteColumns) -> dict[str, int]:
    left_out = Counter(base.votes_left_out)
    is_common = np.zeros(len(base.pair_ids), np.bool_)
    is_common[rows] = True
    given, common = len(base.votes.pair), len(base.votes.on(is_common).pair)
    left_out["pair not given to every judge"] += given - common
    left_out["pair without a label from every judge"] += common - len(used.pair)
    return {reason: count for reason, count in left_out.items() if count}


def _shift(outcomes: NDArray[np.intp], cluster: Index) -> LabelShift:
    first, second = outcomes
    return label_shift(first, second, cluster, kinds=_NO_LABEL)


def _outcome_table(outcomes: NDArray[np.intp]) -> dict[str, dict[str, int]]:
    kinds = len(OUTCOMES)
    cells = np.bincount(outcomes[0] * kinds + outcomes[1], minlength=kinds**2).tolist()
    rows = {
        name: {
            other: cells[at * kinds + to]
            for to, other in enumerate(OUTCOMES)
            if cells[at * kinds + to]
        }
        for at, name in enumerate(OUTCOMES)
    }
    return {name: row for name, row in rows.items() if row}


def _changed(
    base: Gathered, rows: Index, aligned: Sequence[_Aligned], votes: Floats
) -> tuple[Change, ...]:
    """Return some changed pairs: half of them broken, half fixed, then whatever else there is."""
    first, second = aligned
    both = first.has_label & second.has_label
    buckets = np.where(both, bucket_of(first.label, second.label, votes), Bucket.NO_VOTE)
    differs = first.outcome != second.outcome
    told = [np.flatnonzero(differs & (buckets == bucket))[: SHOWN // 2] for bucket in _TOLD_FIRST]
    others = np.setdiff1d(np.flatnonzero(differs), np.concatenate(told))
    return tuple(
        Change(
            pair_id=base.pair_ids[rows[at]],
            first=OUTCOMES[first.outcome[at]],
            second=OUTCOMES[second.outcome[at]],
            bucket=bucket_name(Bucket(buckets[at])),
            votes={name: int(votes[at, c]) for name, c in _CHOICES.items() if votes[at, c]},
        )
        for at in np.concatenate([*told, others])[:SHOWN].tolist()
    )


def _facts(
    base: Gathered, rows: Index, labels: Sequence[Codes], votes: Floats
) -> tuple[bytes, ...]:
    """Return what the figures rest on, the same however judges and pairs are ordered."""
    names = [base.pair_ids[row] for row in rows.tolist()]
    order = np.array(sorted(range(len(names)), key=names.__getitem__), np.intp)
    pairs = "\n".join(names[at] for at in order.tolist()).encode("utf-8", "surrogatepass")
    return (pairs, votes[order].tobytes(), *sorted(label[order].tobytes() for label in labels))
