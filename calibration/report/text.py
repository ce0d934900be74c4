"""The report as plain text, at most 100 columns wide."""

import textwrap
from collections.abc import Mapping

from calibration.agreement import Agreement
from calibration.report.absences import absences
from calibration.report.model import Baselines, Report
from calibration.report.parts import part_blocks
from calibration.report.rows import (
    SHOWN_TURNS,
    columns,
    counts_errors,
    figure_rows,
    turn_rows,
)
from calibration.report.table import Row, table
from calibration.report.words import (
    against_humans,
    certificate_words,
    headline,
    left_out,
    many,
)

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

_ERRORS = "Errors as wrong: a pair without a label because of errors is missed by every vote on it."


def report_text(report: Report) -> str:
    """Return the report as text: the answer first, then what it rests on and what is missing."""
    blocks = [
        [
            *_wrapped(headline(report)),
            *_wrapped(against_humans(report)),
            *_wrapped(certificate_words(report)[0]),
        ],
        _data(report),
        _figures(report),
        *part_blocks(report),
        _turns(report),
        _left_out(report),
        _baselines(report.baselines),
        _provenance(report.provenance),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


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
    given = f"by {many(votes.annotators, 'annotator')}; {_listing(ends)}"
    of = f" (labels of {report.delivered})" if len(report.judges) > 1 else ""
    return [
        f"Data{of}",
        *_entry("pairs", labels.pairs, f"of {many(report.prompts, 'prompt')}"),
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
    lines = table(figure_rows(report), columns(report), width=WIDTH)
    told = [*DEFINITIONS[:2], *([_ERRORS] if counts_errors(report) else []), *DEFINITIONS[2:]]
    return [*lines, "", *told] if lines else []


def _turns(report: Report) -> list[str]:
    lines = table(turn_rows(report), columns(report), width=WIDTH)
    more = len(report.ceiling.turns) - SHOWN_TURNS
    unnamed = [f"and {many(more, 'turn')} more in the JSON"] if more > 0 else []
    return ["By turn of the conversation", "", *lines, *unnamed] if lines else []


def _left_out(report: Report) -> list[str]:
    lines = list(left_out(report))
    lines += absences(report)
    if not lines:
        return ["Left out: nothing"]
    wrapped = (textwrap.wrap(f"  {x}", WIDTH, subsequent_indent="    ") for x in lines)
    return ["Left out, and why", *(line for part in wrapped for line in part)]


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
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items()) or "none"
    return str(value)


def _listing(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, WIDTH)
