"""The smaller tables of the text: each part of the report that one judge or the humans have."""

from collections.abc import Iterator, Mapping

from calibration.chance import Coefficients
from calibration.intervals import Estimate
from calibration.raters import RaterCoefficients
from calibration.report.model import JudgeFigures, Report
from calibration.report.table import Row
from calibration.strata import StratumFigures

_COEFFICIENTS = {
    "observed": "Raw agreement",
    "cohen": "Cohen's kappa",
    "cohen_linear": "  linear weights",
    "cohen_quadratic": "  quadratic weights",
    "scott": "Scott's pi, Fleiss' kappa",
    "brennan_prediger": "Brennan-Prediger",
    "ac1": "Gwet's AC1",
    "ac2": "Gwet's AC2, quadratic",
    "alpha_nominal": "Krippendorff's alpha",
    "alpha_ordinal": "  ordinal",
    "alpha_interval": "  interval",
}
PARADOX_GAP = 0.2
"""Points of difference between AC1 and kappa from which a sentence says why."""


def coefficient_rows(report: Report) -> Iterator[Row]:
    """Yield the coefficients corrected for chance, then both sides' shares of the choices."""
    judges = list(report.judges.values())
    for name, title in _COEFFICIENTS.items():
        cells = [_coefficient(judge.coefficients, name) for judge in judges]
        human = _coefficient(report.ceiling.coefficients, "fleiss" if name == "scott" else name)
        yield Row(title, (*cells, human), is_share=name == "observed")
    for choice in ("first", "tie", "second"):
        cells = [getattr(judge.marginals, choice) for judge in judges]
        yield Row(f"Says {choice}", (*cells, getattr(report.ceiling.marginals, choice)))


def paradox(figures: JudgeFigures) -> str | None:
    """Return why kappa is low beside a high agreement, where it is; None where it is not."""
    given = figures.coefficients
    observed, cohen, ac1 = given.observed.value, given.cohen.value, given.ac1.value
    if observed is None or cohen is None or ac1 is None or ac1 - cohen <= PARADOX_GAP:
        return None
    return (
        f"Cohen's kappa ({cohen:.3f}) is low beside an agreement of {observed:.1%} because one "
        "choice dominates, so chance alone would already agree often; AC1 "
        f"({ac1:.3f}) depends less on that: read the two together and decide by neither alone."
    )


def order_rows(report: Report) -> Iterator[Row]:
    """Yield what two orders and repeated asks tell beyond the main table."""
    effects = [judge.order_effects for judge in report.judges.values()]
    for name, title in (
        ("hard_flips", "One position wins twice"),
        ("first_slot", "Decided for position A"),
        ("repetition_stability", "Repeats: modal verdict"),
        ("repetition_agreement", "Repeats: two agree"),
        ("excess_flips", "Flips beyond repeats"),
        ("identical_ties", "Equal answers tied"),
    ):
        cells = tuple(getattr(effect, name) for effect in effects)
        yield Row(title, cells, is_share=name != "excess_flips")
    coherence = [judge.coherence for judge in report.judges.values()]
    yield Row("Circles of three", tuple(each.cycles for each in coherence))
    yield Row("Kendall's zeta", tuple(each.zeta for each in coherence), is_share=False)


def bias_rows(figures: JudgeFigures) -> Iterator[Row]:
    """Yield how often each kind of answer is preferred: the judge, the humans, the difference."""
    for name, title in (
        ("length", "Longer answer"),
        ("lists", "More list items"),
        ("markdown", "More markdown"),
        ("own_family", "Judge's own family"),
    ):
        pull = getattr(figures.bias, name)
        yield Row(title, (pull.judge, pull.humans, pull.difference))


def effect_rows(figures: JudgeFigures) -> Iterator[Row]:
    """Yield the effects with the humans' votes held fixed, in shares of the verdicts."""
    for name, effect in figures.bias.effects.items():
        yield Row(name.replace("_", " "), (effect,), is_share=False)
    yield Row("self-preference", (figures.bias.self_preference,), is_share=False)
    beyond = figures.bias.self_preference_beyond_control
    yield Row("  beyond its errors", (beyond,), is_share=False)


def stratum_rows(parts: Mapping[str, StratumFigures]) -> Iterator[Row]:
    """Yield agreement on the parts of the pairs; those too small to show have no value."""
    for name, part in parts.items():
        yield Row(name, (part.s1, part.humans_s1, part.s2))


def win_rate_rows(figures: JudgeFigures) -> Iterator[Row]:
    """Yield each system's win rate by the judge, by the humans, and corrected."""
    for name, rate in figures.win_rates.items():
        yield Row(name, (rate.judge, rate.humans, rate.corrected))


def reliability_rows(figures: JudgeFigures) -> Iterator[Row]:
    """Yield what the judge's probabilities are worth, and what keeping the surest reaches."""
    found = figures.reliability
    for title, estimate in (
        ("Brier score", found.brier),
        ("Log-loss", found.log_loss),
        ("  tempered, cross-fit", found.log_loss_tempered),
        ("ECE, 10 bins", found.ece),
        ("  if it were perfect", found.ece_if_perfect),
    ):
        yield Row(title, (estimate,), is_share=False)
    for point in found.coverage:
        yield Row(f"Surest {point.coverage:.0%}: agreement", (point.agreement,))


def _coefficient(given: Coefficients | RaterCoefficients, name: str) -> Estimate | None:
    found = getattr(given, name, None)
    return found if isinstance(found, Estimate) else None
