"""From columns to a report: which figures there are, and on which rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from calibration.agreement import (
    FIRST,
    NO_LABELLED_VOTES,
    TIE,
    Agreement,
    Codes,
    VoteColumns,
    human_human_agreement,
    judge_agreement,
    leave_one_out_agreement,
)
from calibration.chance import clustered_kappa, confusion_sums
from calibration.intervals import Estimate, Floats, clustered_proportion
from calibration.position import PositionEffects, position_effects
from calibration.report.model import (
    Baselines,
    Ceiling,
    JudgeColumns,
    JudgeFigures,
    LabelCounts,
    PairColumns,
    Report,
    VoteCounts,
)

NO_VOTES = "no human votes"
WITHOUT_LABEL = "pair without a label"


@dataclass(frozen=True)
class IntervalSettings:
    """How intervals are made; `draws` and `seed` are those of the bootstrap of kappa."""

    level: float = 0.95
    draws: int = 2000
    seed: int = 0


DEFAULT_INTERVALS = IntervalSettings()


def build_report(
    pairs: PairColumns,
    judges: Sequence[JudgeColumns],
    *,
    votes: VoteColumns | None = None,
    votes_left_out: Mapping[str, int] | None = None,
    both_bad: int = 0,
    delivered: str | None = None,
    provenance: Mapping[str, object] | None = None,
    intervals: IntervalSettings = DEFAULT_INTERVALS,
) -> Report:
    """Return the report of judges on the same pairs, compared with human votes where given.

    `votes_left_out` counts the votes that are not in `votes`, by reason (`skip`, unknown pair);
    `both_bad` how many of those in `votes` are ties because both answers are bad. `delivered`
    names the judge or panel whose labels are delivered, by default the first: the counts and the
    first sentence are about it. Raises ValueError where the columns do not fit together.
    """
    chosen = _delivered(judges, delivered)
    given = votes if votes is not None else _no_votes()
    _check_rows(pairs, judges, votes=given)
    tally, level = given.counts(len(pairs.cluster)), intervals.level
    return Report(
        delivered=chosen.name,
        level=level,
        prompts=len(np.unique(pairs.cluster)),
        votes=_vote_counts(chosen, given, votes_left_out or {}, both_bad=both_bad),
        judges={
            judge.name: _judge_figures(judge, pairs, votes=given, tally=tally, intervals=intervals)
            for judge in judges
        },
        ceiling=_ceiling(given, pairs, level=level),
        baselines=_baselines(pairs, tally, level=level),
        provenance={
            **(provenance or {}),
            "intervals": {**asdict(intervals), "clustered_by": "prompt"},
        },
    )


def _no_votes() -> VoteColumns:
    return VoteColumns(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0, np.int8))


def _delivered(judges: Sequence[JudgeColumns], name: str | None) -> JudgeColumns:
    names = [judge.name for judge in judges]
    if not judges:
        raise ValueError("a report needs the columns of at least one judge")
    if len(set(names)) != len(names):
        raise ValueError(f"judges must have different names, got {', '.join(names)}")
    if name is None:
        return judges[0]
    if name not in names:
        raise ValueError(f"delivered judge {name!r} is not among {', '.join(names)}")
    return judges[names.index(name)]


def _check_rows(pairs: PairColumns, judges: Sequence[JudgeColumns], *, votes: VoteColumns) -> None:
    n_pairs = len(pairs.cluster)
    for judge in judges:
        if len(judge.label) != n_pairs:
            raise ValueError(
                f"judge {judge.name} has {len(judge.label)} rows for {n_pairs} pairs; "
                "give every judge one row per pair"
            )
    if pairs.longer is not None and len(pairs.longer) != n_pairs:
        raise ValueError(f"`longer` has {len(pairs.longer)} rows for {n_pairs} pairs")
    if len(votes.pair) and not 0 <= votes.pair.min() <= votes.pair.max() < n_pairs:
        raise ValueError(
            f"a vote names pair row {votes.pair.max()} of {n_pairs}; "
            "count votes on unknown pairs in `votes_left_out`"
        )


def _judge_figures(
    judge: JudgeColumns,
    pairs: PairColumns,
    *,
    votes: VoteColumns,
    tally: Floats,
    intervals: IntervalSettings,
) -> JudgeFigures:
    rows, cluster, level = judge.has_label, pairs.cluster, intervals.level
    agreement = judge_agreement(judge.label[rows], tally[rows], cluster=cluster[rows], level=level)
    used = rows[votes.pair]
    pair = votes.pair[used]
    tables = confusion_sums(
        judge.label[pair] + 1, votes.choice[used] + 1, cluster[pair], categories=3
    )
    position = _position(judge, pairs, level=level)
    unparsed = judge.statuses.get("unparsed", np.zeros(len(cluster), np.intp))
    return JudgeFigures(
        s1=agreement.s1,
        s2=agreement.s2,
        s2_coverage=agreement.s2_coverage,
        kappa=clustered_kappa(tables, **asdict(intervals), empty=NO_LABELLED_VOTES),
        consistency=position.consistency,
        toward_first=position.toward_first,
        toward_second=position.toward_second,
        preference_fairness=position.preference_fairness,
        unparsed_rate=clustered_proportion(
            unparsed, cluster, size=judge.judgments, level=level, empty="no judgment yet"
        ).estimate,
        counts=_label_counts(judge),
    )


def _position(judge: JudgeColumns, pairs: PairColumns, *, level: float) -> PositionEffects:
    if judge.orders is not None:
        return position_effects(judge.orders, pairs.cluster, level=level)
    absent = Estimate(None, None, None, 0, "the verdicts of the two orders were not given")
    return PositionEffects(absent, absent, absent, absent)


def _label_counts(judge: JudgeColumns) -> LabelCounts:
    clear = judge.label[judge.has_label & ~judge.inconsistent]
    judgments = int(judge.judgments.sum())
    failed = {status: int(column.sum()) for status, column in judge.statuses.items()}
    return LabelCounts(
        pairs=len(judge.label),
        labelled=int(judge.has_label.sum()),
        first=int(np.sum(clear == FIRST)),
        second=int(np.sum(clear == -FIRST)),
        ties=int(np.sum(clear == TIE)),
        inconsistent=int(np.sum(judge.has_label & judge.inconsistent)),
        undecided=dict(judge.undecided),
        pending=judge.n_pending,
        judgments=judgments,
        by_status={"verdict": judgments - sum(failed.values()), **failed},
    )


def _vote_counts(
    judge: JudgeColumns, votes: VoteColumns, left_out: Mapping[str, int], *, both_bad: int
) -> VoteCounts:
    used = judge.has_label[votes.pair]
    unlabelled = len(used) - int(used.sum())
    reasons = {reason: count for reason, count in left_out.items() if count}
    if unlabelled:
        reasons[WITHOUT_LABEL] = reasons.get(WITHOUT_LABEL, 0) + unlabelled
    return VoteCounts(
        votes=int(used.sum()) + sum(reasons.values()),
        votes_used=int(used.sum()),
        votes_left_out=reasons,
        votes_both_bad=both_bad,
        annotators=len(np.unique(votes.annotator)),
        pairs_compared=len(np.unique(votes.pair[used])),
    )


def _ceiling(votes: VoteColumns, pairs: PairColumns, *, level: float) -> Ceiling:
    return Ceiling(
        human_human=human_human_agreement(votes, pairs.cluster, level=level),
        leave_one_out=leave_one_out_agreement(votes, pairs.cluster, level=level),
    )


def _baselines(pairs: PairColumns, tally: Floats, *, level: float) -> Baselines:
    def reached(label: Codes) -> Agreement:
        agreement = judge_agreement(label, tally, cluster=pairs.cluster, level=level)
        return Agreement(agreement.s1.micro, agreement.s2.micro)

    n, decided = int(tally.sum()), int(tally[:, [0, 2]].sum())
    no_length = Estimate(None, None, None, 0, "the lengths of the answers were not given")
    ties = clustered_proportion(
        tally[:, 1], pairs.cluster, size=tally.sum(axis=1), level=level, empty=NO_VOTES
    ).estimate
    return Baselines(
        always_first=reached(np.full(len(tally), FIRST, np.int8)),
        longest=Agreement(no_length, no_length) if pairs.longer is None else reached(pairs.longer),
        random=Agreement(_exactly(1 / 3, n), _exactly(1 / 2, decided)),
        # It calls a quarter first, a quarter second and half a tie, whatever the answers are.
        coin_flip=Agreement(ties.rescaled(0.25, 0.25), _exactly(1 / 2, decided)),
    )


def _exactly(value: float, n: int) -> Estimate:
    """An expectation that is known, not estimated: its interval is the value itself."""
    return Estimate(value, value, value, n) if n else Estimate(None, None, None, 0, NO_VOTES)
