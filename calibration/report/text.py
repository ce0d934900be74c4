"""The report as plain text, at most 100 columns wide."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping

from calibration.agreement import Agreement
from calibration.intervals import ONE_CLUSTER, Estimate
from calibration.report.model import Baselines, JudgeFigures, Report
from calibration.report.table import Row, percent, table

WIDTH = 100

DEFINITIONS = (
    "S1: share of votes the label equals; inconsistent is a tie. S2: only where both are decided.",
    "Over pairs: every pair weighs the same. Majority: of a pair's votes; a shared top is split.",
    "Humans: two votes on one pair; against the majority: of the other annotators' votes.",
    "Kappa: 0 is chance, 1 is perfect. Preference fairness: below 0 favours the first position.",
)

_LABELS = {
    "always_first": "always the first answer",
    "longest": "the longer answer",
    "random": "any choice at random",
    "coin_flip": "a coin flip in each order",
}

_WITHOUT_VOTES = {
    "consistency",
    "toward_first",
    "toward_second",
    "preference_fairness",
    "unparsed_rate",
}
"""Figures that need no human vote."""


def report_text(report: Report) -> str:
    """Return the report as text: the answer first, then what it rests on and what is missing."""
    blocks = [
        [*_wrapped(headline(report)), *_wrapped(_against_humans(report))],
        _data(report),
        _figures(report),
        _left_out(report),
        _baselines(report.baselines),
        _provenance(report.provenance),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def headline(report: Report) -> str:
    """Return one sentence: the agreement, its interval and the human ceiling."""
    name, figures = report.delivered, report.judges[report.delivered]
    s1 = figures.s1.micro
    level = f"{report.level * 100:g} % CI"
    if s1.value is not None:
        pairs = _many(report.votes.pairs_compared, "human-labelled pair")
        interval = _interval(s1, f"{level} ", ", clustered by prompt")
        return (
            f"On {pairs}, judge {name} agrees with {percent(s1.value)} % of the votes "
            f"({interval}); {_ceiling_clause(report)}."
        )
    why = "no vote is on a labelled pair" if report.votes.votes else "there are no human votes yet"
    start = f"Agreement of judge {name} with humans is unknown: {why}"
    consistency = figures.consistency
    if consistency.value is None:
        return f"{start}; nor can its consistency be told: {consistency.why}."
    return (
        f"{start}; it gives the same answer in both orders on {percent(consistency.value)} % of "
        f"{_many(consistency.n, 'pair')} "
        f"({_interval(consistency, f'{level} ', ', clustered by prompt')})."
    )


def _ceiling_clause(report: Report) -> str:
    humans = report.ceiling.human_human.s1
    if humans.value is None:
        return f"how far humans agree with each other is unknown: {humans.why}"
    interval = _interval(humans, "", "")
    return f"humans agree with each other on {percent(humans.value)} % ({interval})"


def _against_humans(report: Report) -> str:
    judge = report.judges[report.delivered].s1.micro
    humans = report.ceiling.human_human.s1
    if judge.low is None or judge.high is None or humans.low is None or humans.high is None:
        return ""
    if judge.high < humans.low:
        return "The judge is below the human ceiling: the two intervals do not meet."
    if judge.low > humans.high:
        return "The judge is above human-human agreement: the two intervals do not meet."
    return "The two intervals overlap: these votes do not tell the judge from a human."


def _interval(estimate: Estimate, before: str, after: str) -> str:
    if estimate.low is None or estimate.high is None:
        return f"no interval: {estimate.why}"
    return f"{before}{percent(estimate.low)}-{percent(estimate.high)}{after}"


def _data(report: Report) -> list[str]:
    labels, votes = report.labels, report.votes
    kinds = {
        "first": labels.first,
        "second": labels.second,
        "tie": labels.ties,
        "inconsistent": labels.inconsistent,
    }
    ends = {
        "used": votes.votes_used,
        "left out": sum(votes.votes_left_out.values()),
        "both bad (used as ties)": votes.votes_both_bad,
    }
    given = f"by {_many(votes.annotators, 'annotator')}; {_listing(ends)}"
    of = f" (labels of {report.delivered})" if len(report.judges) > 1 else ""
    return [
        f"Data{of}",
        *_entry("pairs", labels.pairs, f"of {_many(report.prompts, 'prompt')}"),
        *_entry("labelled", labels.labelled, _listing(kinds)),
        *_entry("undecided", sum(labels.undecided.values()), _listing(labels.undecided)),
        *_entry("pending", labels.pending, ""),
        *_entry("judgments", labels.judgments, _listing(labels.by_status)),
        *_entry("votes", votes.votes, given if votes.votes else ""),
    ]


def _entry(name: str, count: int, note: str) -> list[str]:
    start = f"  {name:<10} {count:>9,}   "
    return textwrap.wrap(start + note, WIDTH, subsequent_indent=" " * len(start))


def _figures(report: Report) -> list[str]:
    lines = table(_rows(report), [*report.judges, "humans"], width=WIDTH)
    return [*lines, "", *DEFINITIONS] if lines else []


def _rows(report: Report) -> Iterator[Row]:
    judges = list(report.judges.values())
    pairwise, others = report.ceiling.human_human, report.ceiling.leave_one_out

    def row(name: str, cells: Iterable[Estimate], human: Estimate | None = None) -> Row:
        return Row(name, (*cells, human))

    yield row("S1, with ties", (j.s1.micro for j in judges), pairwise.s1)
    yield row("  over pairs", (j.s1.macro for j in judges))
    yield row("  against majority", (j.s1.majority for j in judges), others.s1)
    yield row("S2, without ties", (j.s2.micro for j in judges), pairwise.s2)
    yield row("  over pairs", (j.s2.macro for j in judges))
    yield row("  against majority", (j.s2.majority for j in judges), others.s2)
    yield row("  votes that count", (j.s2_coverage for j in judges))
    yield Row("Kappa", (*(j.kappa for j in judges), None), is_share=False)
    yield from _position_rows(judges)
    yield row("Unparsed replies", (j.unparsed_rate for j in judges))


def _position_rows(judges: list[JudgeFigures]) -> Iterator[Row]:
    yield Row("Same in both orders", (*(j.consistency for j in judges), None))
    yield Row("  moved to first", (*(j.toward_first for j in judges), None))
    yield Row("  moved to second", (*(j.toward_second for j in judges), None))
    fairness = (*(j.preference_fairness for j in judges), None)
    yield Row("Preference fairness", fairness, is_share=False)


def _left_out(report: Report) -> list[str]:
    labels = report.labels
    lines = [f"{_many(n, 'vote')}: {why}" for why, n in report.votes.votes_left_out.items()]
    lines += [f"{_many(n, 'pair')} undecided: {why}" for why, n in labels.undecided.items() if n]
    if labels.pending:
        lines.append(f"{_many(labels.pending, 'pair')} pending: judgments still to come")
    lines += _absences(report)
    if not lines:
        return ["Left out: nothing"]
    wrapped = (textwrap.wrap(f"  {x}", WIDTH, subsequent_indent="    ") for x in lines)
    return ["Left out, and why", *(line for part in wrapped for line in part)]


def _absences(report: Report) -> Iterator[str]:
    absent: dict[tuple[bool, str], list[str]] = {}
    for path, estimate in report.missing():
        if not report.votes.votes and path.rpartition(".")[2] not in _WITHOUT_VOTES:
            continue  # told in one line below, for all of them
        absent.setdefault((estimate.value is None, estimate.why or ""), []).append(path)
    for (has_no_value, why), paths in absent.items():
        what = "Not computed" if has_no_value else "No interval"
        # One cause for every figure needs no list of them.
        whole = why == ONE_CLUSTER and report.prompts == 1
        yield f"{what} ({why}): {'any figure' if whole else ', '.join(_merged(paths))}"
    if not report.votes.votes:
        yield "Not computed (no human votes): S1, S2, kappa, the human ceiling and the baselines"


def _merged(paths: list[str]) -> list[str]:
    """Name a group of averages once where all three of them are missing."""
    groups = {path.rpartition(".")[0] for path in paths if path.endswith(".majority")}
    whole = {group for group in groups if {f"{group}.micro", f"{group}.macro"} <= {*paths}}
    names = (path.rpartition(".") for path in paths)
    merged = (group if group in whole else f"{group}.{leaf}" for group, _, leaf in names)
    return list(dict.fromkeys(merged))


def _baselines(baselines: Baselines) -> list[str]:
    kinds: dict[str, Agreement] = {name: getattr(baselines, name) for name in _LABELS}
    rows = [
        Row(_LABELS[name], (kind.s1, kind.s2))
        for name, kind in kinds.items()
        if kind.s1.value is not None
    ]
    if not rows:
        return []
    start = "Baselines: what labels made without reading an answer reach"
    return [start, "", *table(iter(rows), ["S1", "S2"], width=WIDTH)]


def _provenance(provenance: Mapping[str, object]) -> list[str]:
    lines = (f"  {name}: {_shown(value)}" for name, value in provenance.items())
    wrapped = (textwrap.wrap(x, WIDTH, subsequent_indent="    ") for x in lines)
    return ["Provenance", *(line for part in wrapped for line in part)]


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    return str(value)


def _listing(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, WIDTH)
