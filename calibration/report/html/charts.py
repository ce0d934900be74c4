"""Charts as inline SVG: drawn by Vega-Lite, coloured by the page's CSS.

Colours are CSS variables and `currentColor`, so that one drawing serves a light page, a dark one
and paper. Nothing here computes a figure. Widths suit a phone; a wide page sets two side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

from calibration.intervals import Estimate
from calibration.probability import CoveragePoint, ReliabilityPoint

WIDTH = 344
MOST_LABELS = 24
"""Rows that a chart shows; its table has all of them."""

_COLOURS = tuple(f"var(--series-{i})" for i in range(1, 5))
_SHAPES = ("circle", "diamond", "square", "triangle-up")
_INK, _GRID = "currentColor", "var(--grid)"
# Names of models differ at both ends, so a long one loses its middle.
_SHORTENED = (
    "length(datum.label) > 26 ? slice(datum.label, 0, 10) + '…' + slice(datum.label, -10)"
    " : datum.label"
)
Rows = Sequence[Mapping[str, object]]
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    # The renderer measures Liberation Sans; these three have its widths, so nothing is cut off.
    "font": "Arial, Liberation Sans, Helvetica, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "gridColor": _GRID,
        "domainColor": _GRID,
        "tickColor": _GRID,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 132,
        "titleLimit": WIDTH,
    },
    "legend": {
        "labelColor": _INK,
        "labelFontSize": 12,
        "labelLimit": 200,
        "orient": "top",
        "title": None,
        "symbolSize": 70,
    },
}


@dataclass(frozen=True)
class Dot:
    """An estimate in a chart of dots; those of one label stand on one line."""

    label: str
    series: str
    estimate: Estimate


@dataclass(frozen=True)
class Axis:
    """The horizontal axis of a chart of dots."""

    title: str
    scale: float = 100
    """What a value is multiplied by: 100 shows shares in percent."""
    neutral: float | None = None
    """Where a dashed line stands, as a value."""
    band: Estimate | None = None
    """An interval shaded from top to bottom."""


def dots_chart(dots: Sequence[Dot], axis: Axis) -> Markup | None:
    """Return dots with their intervals, one line per label; None where there is no value."""
    labels = list(dict.fromkeys(d.label for d in dots if d.estimate.value is not None))
    labels = labels[:MOST_LABELS]
    shown = [d for d in dots if d.estimate.value is not None and d.label in set(labels)]
    if not shown:
        return None
    series = list(dict.fromkeys(d.series for d in shown))
    is_crowded = len(shown) > len(labels)
    channels: dict[str, Any] = {
        "y": alt.Y(
            "label:N", sort=labels, title=None, axis=alt.Axis(labelExpr=_SHORTENED, labelLimit=150)
        ),
        "color": _colour(series),
        **({"yOffset": alt.YOffset("series:N", sort=series)} if is_crowded else {}),
    }
    rules = _chart("dots").transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2)
    points = _chart("dots").mark_point(filled=True, opacity=1, size=70)
    layers = alt.layer(
        *_background(axis),
        rules.encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), **channels),
        points.encode(x=_x("value:Q", axis.title), shape=_shape(series), **channels),
    )
    step = alt.Step(12 + 14 * len(series) if is_crowded else 26, **{"for": "position"})
    data: dict[str, Rows] = {"dots": [_row(d, axis.scale) for d in shown], **_background_data(axis)}
    return _svg(layers.properties(width=WIDTH, height=step), data)


def reliability_chart(curve: Sequence[ReliabilityPoint]) -> Markup | None:
    """Return observed agreement against stated confidence, with the diagonal."""
    if not curve:
        return None
    lowest = min(50.0, *(100 * p.observed for p in curve))
    scale = alt.Scale(domain=[lowest, 100], nice=False)
    x = alt.X(
        "stated:Q",
        title="stated confidence, %",
        axis=_ticks(),
        scale=alt.Scale(domain=[50, 100]),
    )
    y = alt.Y("observed:Q", title="agreement observed, %", axis=_ticks(), scale=scale)
    size = alt.Size("n:Q", legend=None, scale=alt.Scale(range=[25, 160]))
    diagonal = _chart("ends").mark_line(strokeDash=[4, 4], color=_INK, strokeWidth=1)
    line = _chart("curve").mark_line(interpolate="step-after", color=_COLOURS[0], strokeWidth=2)
    points = _chart("curve").mark_point(filled=True, opacity=1, color=_COLOURS[0])
    layers = alt.layer(
        diagonal.encode(x=x, y=y), line.encode(x=x, y=y), points.encode(x=x, y=y, size=size)
    )
    data: dict[str, Rows] = {
        "curve": [
            {"stated": 100 * p.stated, "observed": 100 * p.observed, "n": p.n} for p in curve
        ],
        "ends": [{"stated": x, "observed": x} for x in (50, 100)],
    }
    return _svg(layers.properties(width=WIDTH, height=240), data)


def coverage_chart(points: Sequence[CoveragePoint]) -> Markup | None:
    """Return the agreement of the most confident labels against the share that is kept."""
    rows = [
        {"coverage": 100 * p.coverage, **_numbers(p.agreement, 100)}
        for p in points
        if p.agreement.value is not None
    ]
    if not rows:
        return None
    x = alt.X("coverage:Q", title="most confident labels kept, %", axis=_ticks())
    y = alt.Y("value:Q", title="agreement, %", scale=alt.Scale(zero=False))
    band = _chart("points").transform_filter("isValid(datum.low)")
    band = band.mark_area(color=_COLOURS[0], opacity=0.18)
    line = _chart("points").mark_line(
        color=_COLOURS[0], strokeWidth=2, point={"color": _COLOURS[0]}
    )
    layers = alt.layer(
        band.encode(x=x, y=alt.Y("low:Q"), y2=alt.Y2("high:Q")), line.encode(x=x, y=y)
    )
    data: dict[str, Rows] = {"points": rows}
    return _svg(layers.properties(width=WIDTH, height=240), data)


def _background(axis: Axis) -> list[alt.Chart]:
    marks = []
    data = _background_data(axis)
    if "band" in data:
        band = _chart("band").mark_rect(color="var(--band)")
        marks.append(band.encode(x=_x("low:Q", axis.title), x2=alt.X2("high:Q")))
    if "neutral" in data:
        rule = _chart("neutral").mark_rule(strokeDash=[4, 4], color=_INK, strokeWidth=1)
        marks.append(rule.encode(x=_x("value:Q", axis.title)))
    return marks


def _background_data(axis: Axis) -> dict[str, Rows]:
    data: dict[str, Rows] = {}
    if axis.band is not None and axis.band.low is not None:
        data["band"] = [_numbers(axis.band, axis.scale)]
    if axis.neutral is not None:
        data["neutral"] = [{"value": axis.scale * axis.neutral}]
    return data


def _chart(name: str) -> alt.Chart:
    """Return a chart of the rows of that name, which `_svg` puts in: Altair would copy them."""
    return alt.Chart(alt.NamedData(name=name))


def _x(field: str, title: str) -> alt.X:
    return alt.X(field, title=title, axis=_ticks(), scale=alt.Scale(zero=False, padding=6))


def _ticks() -> alt.Axis:
    return alt.Axis(tickCount=5, labelFlush=False)


def _row(dot: Dot, scale: float) -> Mapping[str, object]:
    return {"label": dot.label, "series": dot.series, **_numbers(dot.estimate, scale)}


def _numbers(estimate: Estimate, scale: float) -> dict[str, float | None]:
    return {
        name: None if number is None else scale * number
        for name, number in (
            ("value", estimate.value),
            ("low", estimate.low),
            ("high", estimate.high),
        )
    }


def _colour(series: Sequence[str]) -> alt.Color:
    scale = alt.Scale(domain=list(series), range=list(_COLOURS[: len(series)]))
    return alt.Color("series:N", scale=scale, legend=_legend(series))


def _shape(series: Sequence[str]) -> alt.Shape:
    scale = alt.Scale(domain=list(series), range=list(_SHAPES[: len(series)]))
    return alt.Shape("series:N", scale=scale, legend=_legend(series))


def _legend(series: Sequence[str]) -> alt.Legend | None:
    # Marks of one kind need no key, and one line of a phone holds about 30 letters.
    is_short = sum(map(len, series)) <= 30
    return alt.Legend(columns=len(series) if is_short else 1) if len(series) > 1 else None


def _svg(chart: alt.LayerChart | alt.FacetChart, data: Mapping[str, Rows]) -> Markup:
    specification = chart.to_dict(validate=False)
    specification["autosize"] = {"type": "fit-x", "contains": "padding"}
    specification["datasets"] = data
    # No address may be fetched, and the data stand in the specification: none needs to be.
    svg = vl_convert.vegalite_to_svg(specification, config=_CONFIG, allowed_base_urls=[])
    # What the picture shows is told by the element around it; its parts would be read one by one.
    hidden = svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
    return Markup(hidden)  # the renderer escapes every text in it
