"""The evidence of a report as HTML: disagreements to read, and every pair that fits to look up."""

from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING

from calibration.report.evidence import Evidence, Flag, Passage, shortened
from calibration.report.html.evidence_payload import Payload, payload_of
from calibration.report.html.model_text import (
    NEEDS_REPORT,
    model_markup,
    reply_markup,
    visible,
    well_formed,
)
from calibration.report.words import many

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_OWN = files(__package__)
EVIDENCE_CSS = (_OWN / "evidence.css").read_text("utf-8")
EVIDENCE_JS = "".join(
    (_OWN / name).read_text("utf-8") for name in ("evidence_pair.js", "evidence.js")
)

FLAGS = {
    Flag.AGAINST_VOTES: "judge ≠ humans",
    Flag.ORDERS: "orders disagree",
    Flag.JUDGES: "judges disagree",
    Flag.TIE: "tie",
    Flag.INCONSISTENT: "inconsistent",
    Flag.UNPARSED: "unparsed",
    Flag.TRUNCATED: "truncated",
    Flag.REFUSED: "refused",
    Flag.FAILED: "failed",
    Flag.UNVOTED: "no vote",
}
_ORDERS = {
    "forward": "Shown A = first, B = second",
    "reversed": "Shown A = second, B = first",
}
_TOKENS = {"A": "[[A]]", "B": "[[B]]", "tie": "[[C]]"}
_CHOICES = {
    "first": "first is better",
    "second": "second is better",
    "tie": "tie",
    "both_bad": "both bad",
    "skip": "skipped",
    "inconsistent": "contradicts itself",
    "undecided": "undecided",
}

_MOST_CHARS = 300_000
"""Texts of all disagreements together; rendered, they are some times as long."""
_MOST_MARKUP = 700_000
_CAPS = (20_000, 10_000, 5_000, 2_000, 1_000, 400, 150)
"""Most characters of one text, the greatest first that keeps the whole in bounds."""
_FOLD_CHARS = 900
_FOLD_LINES = 14


@dataclass(frozen=True, slots=True)
class Told:
    """One text as HTML; the end stands apart where the middle is left out."""

    head: "Markup"
    tail: "Markup"
    left_out: int


def evidence_markup(evidence: Evidence) -> "Markup":
    """Return the two sections `#informative` and `#pairs`, for a page with EVIDENCE_CSS and _JS.

    At most some 3 MB: texts are cut to fit, and the pairs that do not fit are counted. Raises
    ImportError, naming the remedy, where the libraries of reports are not installed.
    """
    from markupsafe import Markup

    payload = payload_of(evidence.pairs)
    template = _environment().get_template("evidence.html")
    caps = [cap for cap in _CAPS if _chars_within(evidence, cap) <= _MOST_CHARS] or [_CAPS[-1]]
    for cap in caps:
        html = template.render(
            evidence=evidence,
            payload=payload,
            chosen=_chosen(evidence),
            embedded=_embedded(evidence, payload),
            text=partial(_told, most=cap),
        )
        if len(html) - len(payload.base64) <= _MOST_MARKUP:
            break
    return Markup(html)


@cache
def _environment() -> "Environment":
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise ImportError(NEEDS_REPORT) from error
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters["well_formed"] = well_formed
    environment.globals.update(
        flags=FLAGS, orders=_ORDERS, tokens=_TOKENS, choices=_CHOICES, many=many, folds=_folds
    )
    return environment


def _finalize(value: object) -> object:
    """Make control characters visible; markup has been through this already."""
    return visible(value) if type(value) is str else value


def _told(passage: Passage, verdict: str | None = None, *, most: int) -> Told:
    short = shortened(passage, most)
    if verdict is not None:
        return Told(*reply_markup(short, verdict), short.left_out)
    return Told(model_markup(short.text), model_markup(short.tail), short.left_out)


def _folds(passage: Passage) -> bool:
    return passage.chars > _FOLD_CHARS or passage.text.count("\n") > _FOLD_LINES


def _chars_within(evidence: Evidence, cap: int) -> int:
    passages = (passage for pair in evidence.disagreements for passage in pair.passages())
    return sum(min(passage.shown, cap) for passage in passages)


def _chosen(evidence: Evidence) -> str:
    count = len(evidence.disagreements)
    what = "The pair" if count == 1 else f"The {count} pairs"
    return (
        f"{what} that tell most about the judge or the votes when read. First come labels that "
        "hold in both orders and that everybody's vote contradicts, then opposite sides, ties "
        "against a side, and labels that contradict themselves; at most two of one prompt."
    )


def _embedded(evidence: Evidence, payload: Payload) -> str:
    whole = evidence.pairs_in_run
    if payload.pairs == whole:
        return "The only pair of the run." if whole == 1 else f"All {whole:,} pairs of the run."
    why = "their texts would make the file too large"
    if payload.pairs == len(evidence.pairs):
        why = evidence.why_left_out or why
    return (
        f"{payload.pairs:,} of the {many(whole, 'pair')} of the run: those whose label contradicts "
        "the votes before the others, each in the order of the input. "
        f"{whole - payload.pairs:,} are left out: {why}."
    )
