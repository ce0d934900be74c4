"""Ledger and votes become columns, and columns a report: the one join between the two worlds."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from calibration.agreement import JudgeAgreement, VoteColumns, judge_agreement
from calibration.report.build import build_report
from calibration.report.columns import Expense, JudgeColumns, PairColumns
from calibration.report.model import Report
from judge.errors import LedgerError
from judge.ledger.bare_votes import bare_votes
from judge.ledger.facts import JudgedPair, judged_pairs
from judge.ledger.run_facts import reply_totals
from judge.ledger.runs import Run
from judge.ledger.store import Ledger
from judge.policies.choice import policy_of
from judge.policy import Policy
from judge.prices.expenses import expenses_of, joint_expense
from judge.prices.pricing import Price
from judge.trust.families import own_family_codes
from judge.trust.gold import read_gold
from judge.trust.judge_columns import JudgeGathering
from judge.trust.pair_columns import STRATA, PairGathering
from judge.trust.vote_columns import CastVote, vote_columns

PANEL = "panel"
"""Name of the majority of several judges in a report."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that statistics see of a run and the votes on it; rows are those of `pair_ids`."""

    run: Run
    pair_ids: tuple[str, ...]
    prompt_ids: tuple[str, ...]
    """Names of the clusters: `pairs.cluster` holds places in it."""
    pairs: PairColumns
    judges: tuple[JudgeColumns, ...]
    """Each judge of the run, then their panel where there are several."""
    votes: VoteColumns
    votes_left_out: Mapping[str, int]
    annotators: tuple[str, ...]
    """Names of the annotators: `votes.annotator` holds places in it."""
    batches: tuple[str | None, ...]
    """Names of the deliveries of votes: `votes.batch` holds places in it."""
    source: str | None
    """File of the votes; None where they are the ledger's."""

    @property
    def delivered(self) -> JudgeColumns:
        """The judge or panel whose labels are delivered."""
        return self.judges[-1]


def gather_in(
    ledger: Ledger,
    run: Run,
    *,
    gold: str | None = None,
    by: Sequence[str] = STRATA,
    prices: Mapping[str, Price] | None = None,
) -> Gathered:
    """Return the columns of a run and of the votes on it, from the ledger or the file `gold`.

    The votes of a file are votes, or answers to handed-off tasks; `by` names tags. `prices`, by
    model, are for replies that are stored without what they cost.

    Raises LedgerError for a run without judgments, InputError for a gold file with bad lines.
    """
    if not run.judges:
        raise LedgerError(
            f"run {run.run_id} of ledger {ledger.path} has no judgments; name another with --run"
        )
    pairs = judged_pairs(
        ledger, run.run_id, run.judge_keys, one_order=run.one_order, with_style=True
    )
    expenses = expenses_of(run, reply_totals(ledger, run), prices=prices)
    if not gold:
        return gather(run, pairs, bare_votes(ledger), by=by, expenses=expenses)
    given = read_gold(ledger, gold)
    return gather(
        run,
        pairs,
        given.votes,
        source=gold,
        left_out=given.left_out,
        by=by,
        expenses=expenses,
    )


def gather(
    run: Run,
    pairs: Iterable[JudgedPair],
    votes: Iterable[CastVote],
    *,
    source: str | None = None,
    left_out: Mapping[str, int] | None = None,
    by: Sequence[str] = STRATA,
    expenses: Mapping[str, Expense] | None = None,
) -> Gathered:
    """Return the columns of judged pairs and the votes on them, each given once. Pure.

    With several judges their majority comes last. `left_out` counts votes that are not given, by
    reason; `source` is where the votes come from, by default the ledger; `by` names the tags that
    part the pairs; `expenses` has what the judgments took, by judge key. Nothing is told of the
    answers where the pairs were read without their style.
    """
    gathered = _judge_gatherings(run, expenses or {})
    given = PairGathering(by)
    for pair in pairs:
        given.add(pair)
        for judge in gathered:
            judge.add(pair)
    cast, columns = vote_columns(votes, given.rows), given.columns()
    return Gathered(
        run=run,
        pair_ids=tuple(given.rows),
        prompt_ids=tuple(given.prompts),
        pairs=columns,
        judges=tuple(_with_family(judge.columns(), run, columns) for judge in gathered),
        votes=cast.columns,
        votes_left_out=Counter(left_out or {}) + cast.left_out,
        annotators=cast.annotators,
        batches=cast.batches,
        source=source,
    )


def _with_family(judge: JudgeColumns, run: Run, pairs: PairColumns) -> JudgeColumns:
    """Tell a judge which answers are of its own family; a panel has none."""
    model = next((each.model for each in run.judges if each.name == judge.name), None)
    if model is None or pairs.first is None or pairs.second is None:
        return judge
    sides = {"first": pairs.first.system, "second": pairs.second.system}
    return replace(judge, own_family=own_family_codes(model, pairs.systems, **sides))


def report_of(gathered: Gathered) -> Report:
    """Return the agreement report; the last judge's labels are those that are delivered. Pure."""
    return build_report(
        gathered.pairs,
        gathered.judges,
        votes=gathered.votes,
        votes_left_out=gathered.votes_left_out,
        annotators=gathered.annotators,
        batches=gathered.batches,
        delivered=gathered.delivered.name,
        provenance=_provenance(gathered.run, gathered.source),
    )


def agreement_of(gathered: Gathered) -> JudgeAgreement:
    """Return the agreement of the delivered labels with the votes, and nothing else. Pure."""
    labelled = gathered.delivered.has_label
    tally = gathered.votes.counts(len(labelled))
    return judge_agreement(
        gathered.delivered.label[labelled],
        tally[labelled],
        cluster=gathered.pairs.cluster[labelled],
    )


def _judge_gatherings(run: Run, expenses: Mapping[str, Expense]) -> list[JudgeGathering]:
    gathered = [
        JudgeGathering(judge.name, judge.judge_key, run, expenses.get(judge.judge_key))
        for judge in run.judges
    ]
    if len(gathered) > 1:
        joint = joint_expense(expenses.values())
        gathered.append(JudgeGathering(_joint_name(run), None, run, joint))
    return gathered


def _joint_name(run: Run) -> str:
    """Return the name of the panel or cascade, told apart from a judge who bears it."""
    policy = policy_of(run.policy_settings, run.judge_keys)
    name = str(run.settings["policy"]["name"]) if _is_named(run, policy) else PANEL
    is_taken = any(judge.name == name for judge in run.judges)
    return f"{name} of {len(run.judges)}" if is_taken else name


def _is_named(run: Run, policy: Policy) -> bool:
    return policy.is_staged and "policy" in run.settings


def _provenance(run: Run, gold: str | None) -> dict[str, object]:
    return {
        "run": run.run_id,
        "source": run.source,
        "rule": run.rule,
        "gold": gold or "votes in the ledger",
        "judges": {
            judge.name: {
                "model": judge.model,
                "prompt": judge.prompt,
                "prompt_digest": judge.prompt_digest,
                "sampling": dict(judge.sampling),
            }
            for judge in run.judges
        },
    }
