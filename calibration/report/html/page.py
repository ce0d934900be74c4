"""The page: what it says is put together here, how it looks is in the templates."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.report.html import judge_tables, part_tables, words
from calibration.report.html.tables import Table, figure, interval
from calibration.report.model import JudgeFigures, Report
from calibration.report.words import against_humans, certificate_words, headline, left_out, light

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from calibration.report.html.pictures import Picture

_HERE = Path(__file__).parent
_NEEDS = (
    "the HTML report needs jinja2, altair and vl-convert-python ({missing} is missing); "
    'install them with: pip install "evenhand[report]"'
)


@dataclass(frozen=True)
class JudgePart:
    """What the page says about one judge alone; only the delivered one has all the charts."""

    name: str
    is_delivered: bool
    figures: JudgeFigures
    tables: Mapping[str, Table]
    strata: Mapping[str, Table]
    pictures: "Mapping[str, Sequence[Picture]]"
    strata_pictures: "Mapping[str, Picture]"
    why_no_confidence: str | None


def report_html(
    report: Report,
    *,
    title: str,
    evidence: "Markup | None" = None,
    command: str | None = None,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> str:
    """Return the report as one HTML file that fetches nothing and works without scripts.

    `evidence` stands where the disagreements go; `styles` and `scripts` are texts that it needs,
    written into the page. `command` makes the same report again. Raises ImportError with the
    remedy where the libraries of the extra `report` are missing.
    """
    try:
        environment = _environment()
        from calibration.report.html import pictures  # noqa: F401 - so that it fails here
    except ModuleNotFoundError as error:
        raise ImportError(_NEEDS.format(missing=error.name)) from error
    all_styles = [_own("report.css"), *styles]
    all_scripts = [_own("report.js"), *scripts]
    return environment.get_template("page.html").render(
        title=title,
        evidence=evidence,
        command=command,
        styles=[_raw(text, "style") for text in all_styles],
        scripts=[_raw(text, "script") for text in all_scripts],
        style_hashes=[_digest(text) for text in all_styles],
        script_hashes=[_digest(text) for text in all_scripts],
        **_content(report),
    )


def _content(report: Report) -> dict[str, Any]:
    from calibration.report.html import pictures

    delivered = report.judges[report.delivered]
    s1, stands = delivered.s1.micro, light(report)
    names = sorted(report.judges, key=lambda name: name != report.delivered)
    return {
        "report": report,
        "headline": headline(report),
        "value": figure(s1) if s1.value is not None else None,
        "interval": interval(s1),
        "humans": report.ceiling.human_human.s1,
        "humans_value": figure(report.ceiling.human_human.s1),
        "humans_interval": interval(report.ceiling.human_human.s1),
        "light": stands,
        "light_title": words.TITLES[stands],
        "light_icon": words.ICONS[stands],
        "light_words": against_humans(report) or words.why_not_compared(report),
        "certificate": certificate_words(report),
        "ends": part_tables.ends_table(report.labels),
        "votes": part_tables.votes_table(report.votes),
        "agreement": judge_tables.agreement_table(report),
        "judges": judge_tables.judges_table(report),
        "turns": judge_tables.turns_table(report),
        "annotators": part_tables.annotators_table(report.ceiling),
        "coefficients": part_tables.coefficients_table(report),
        "marginals": part_tables.marginals_table(report),
        "pictures": {
            "agreement": pictures.agreement_pictures(report),
            "position": pictures.position_pictures(report),
            "annotators": pictures.annotator_pictures(report),
        },
        "parts": [
            _part(name, report.judges[name], is_delivered=name == report.delivered)
            for name in names
        ],
        "left_out": list(left_out(report)),
        "missing": words.missing(report),
    }


def _part(name: str, judge: JudgeFigures, *, is_delivered: bool) -> JudgePart:
    return JudgePart(
        name,
        is_delivered,
        judge,
        tables={
            "confusion": part_tables.confusion_table(judge),
            "order": part_tables.order_table(judge),
            "position": part_tables.position_table(judge),
            "confidence": part_tables.confidence_table(judge),
            "curve": part_tables.curve_table(judge),
            "coverage": part_tables.coverage_table(judge),
            "pulls": part_tables.pulls_table(judge),
            "effects": part_tables.effects_table(judge),
            "coherence": part_tables.coherence_table(judge),
            "residuals": part_tables.residuals_table(judge),
            "win_rates": part_tables.win_rates_table(judge),
        },
        strata=part_tables.strata_tables(judge),
        pictures=_pictures(judge, is_delivered=is_delivered),
        strata_pictures=_strata_pictures(judge) if is_delivered else {},
        why_no_confidence=words.no_confidence(judge),
    )


def _pictures(judge: JudgeFigures, *, is_delivered: bool) -> "dict[str, Sequence[Picture]]":
    from calibration.report.html import pictures

    confidence = {"confidence": pictures.confidence_pictures(judge)}
    if not is_delivered:
        return dict(confidence)
    return {
        **confidence,
        "bias": pictures.bias_pictures(judge),
        "systems": pictures.system_pictures(judge),
        "win_rates": pictures.win_rate_pictures(judge),
    }


def _strata_pictures(judge: JudgeFigures) -> "dict[str, Picture]":
    from calibration.report.html import pictures

    return pictures.strata_pictures(judge)


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _own(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _raw(text: str, element: str) -> "Markup":
    from markupsafe import Markup

    # The one thing that ends such an element early; our own files and the evidence's never hold it.
    if f"</{element}" in text.lower():
        raise ValueError(f"a {element} holds its own closing tag; write it in another way")
    return Markup(text)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
