"""Synthetic reports: a full one with every figure, and degenerate ones. Seeded, no statistics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from calibration.agreement import Agreement
from calibration.bias import Bias, Pull
from calibration.certificates import Certificate
from calibration.confusion import Confusion
from calibration.inference import WinRate
from calibration.intervals import Estimate
from calibration.position import OrderEffects
from calibration.probability import CoveragePoint, Reliability, ReliabilityPoint
from calibration.ranking import SystemRanking
from calibration.report.model import (
    Baselines,
    Ceiling,
    ExpenseFigures,
    JudgeFigures,
    LabelCounts,
    Report,
    TurnCeiling,
    VoteCounts,
)
from calibration.significance import PValue
from calibration.strata import AnnotatorFigures, StratumFigures

HOSTILE = "<script>alert('judge')</script>"
ABSENT = Estimate(None, None, None, 0, "no human votes")
_SYSTEMS = ("alpaca-13b", "claude-v1", "gpt-3.5", "gpt-4", "llama-13b", "vicuna-13b")
_CATEGORIES = ("coding", "extraction", "humanities", "math", "writing")


@dataclass
class Draw:
    rng: np.random.Generator

    def share(self, centre: float = 0.6, *, half: float = 0.04, n: int = 412) -> Estimate:
        value = float(np.clip(centre + self.rng.normal(0, 0.03), 0.02, 0.97))
        return Estimate(value, max(0.0, value - half), min(1.0, value + half), n)

    def signed(self, centre: float = 0.0, *, half: float = 0.03) -> Estimate:
        value = centre + float(self.rng.normal(0, 0.03))
        return Estimate(value, value - half, value + half, 412)


def full_report(*, seed: int = 0, judges: tuple[str, ...] = ("strong", "cheap")) -> Report:
    """Return a report of the first judge's labels in which every figure is present."""
    draw = Draw(np.random.default_rng(seed))
    made = {name: _judge(draw, 0.78 - 0.07 * i) for i, name in enumerate(judges)}
    agreement = Agreement(draw.share(0.81), draw.share(0.86))
    ceiling = _filled(Ceiling, draw.share)
    return Report(
        delivered=judges[0],
        level=0.95,
        prompts=80,
        pairs_without_turn=0,
        votes=_votes(),
        judges=made,
        ceiling=replace(
            ceiling,
            human_human=agreement,
            turns={t: TurnCeiling(agreement, agreement) for t in ("1", "2")},
            annotators={
                f"annotator-{i}": AnnotatorFigures(90 - i, draw.share(0.8), draw.share(0.85))
                for i in range(9)
            },
        ),
        baselines=Baselines(
            Agreement(draw.share(0.4), draw.share(0.5)),
            Agreement(draw.share(0.48), draw.share(0.58)),
            Agreement(_exact(1 / 3), _exact(1 / 2)),
            Agreement(_exact(0.3), _exact(1 / 2)),
        ),
        provenance={
            "package": "evenhand 0.1.0",
            "judges": {n: {"model": "m-1", "prompt": "sha256:0a1b2c"} for n in judges},
            "intervals": {"level": 0.95, "draws": 2000, "seed": 0, "clustered_by": "prompt"},
        },
    )


def hostile_report() -> Report:
    """Return a report whose names of judges, systems, parts and annotators are markup."""
    report = full_report(judges=(HOSTILE, "</style><b>x"))
    judge = report.judges[HOSTILE]
    systems = {HOSTILE: next(iter(judge.win_rates.values()))}
    stratum = next(iter(judge.strata["category"].values()))
    told = replace(judge, win_rates=systems, strata={HOSTILE: {HOSTILE: stratum}})
    votes = replace(report.votes, votes_left_out={HOSTILE: 11})
    figures = {"=1+1": next(iter(report.ceiling.annotators.values()))}
    ceiling = replace(report.ceiling, annotators=figures)
    return replace(
        report,
        judges={**report.judges, HOSTILE: told},
        votes=votes,
        ceiling=ceiling,
        provenance={HOSTILE: [HOSTILE, None, {HOSTILE: True}]},
    )


def report_without_votes() -> Report:
    """Return a report of a run that no human has looked at."""
    report = full_report(judges=("strong",))
    judge = report.judges["strong"]
    absent = _filled(JudgeFigures, lambda: ABSENT)
    needs_none = ("consistency", "toward_first", "toward_second", "unparsed_rate", "counts")
    kept = {name: getattr(judge, name) for name in (*needs_none, "order_effects", "expense")}
    return replace(
        report,
        votes=VoteCounts(0, 0, {}, 0, 0, 0),
        judges={"strong": replace(absent, certificate=_no_certificate(), **kept)},
        ceiling=_filled(Ceiling, lambda: ABSENT),
        baselines=_filled(Baselines, lambda: ABSENT),
    )


def empty_report() -> Report:
    """Return a report of nothing: no pair, no vote, no verdict, every figure absent."""
    report = report_without_votes()
    nothing = Estimate(None, None, None, 0, "nothing to count")
    judge = replace(_filled(JudgeFigures, lambda: nothing), certificate=_no_certificate())
    return replace(report, prompts=0, judges={"strong": judge}, provenance={})


def one_prompt_report() -> Report:
    """Return a report whose figures have values and no interval."""
    single = Estimate(0.5, None, None, 2, "one prompt only; an interval needs at least two")
    report = full_report(judges=("strong",))
    judge = replace(_filled(JudgeFigures, lambda: single), certificate=_no_certificate())
    judge = replace(judge, turns={})
    return replace(
        report,
        prompts=1,
        judges={"strong": judge},
        ceiling=_filled(Ceiling, lambda: single),
        baselines=_filled(Baselines, lambda: single),
    )


def _judge(draw: Draw, centre: float) -> JudgeFigures:
    """Return figures around one level of agreement; what is not named here is about 0.6."""
    judge = _filled(JudgeFigures, draw.share)
    agreement = Agreement(draw.share(centre), draw.share(centre + 0.06))
    unparsed = draw.share(0.03, half=0.01)
    return replace(
        judge,
        s1=replace(judge.s1, micro=agreement.s1),
        s2=replace(judge.s2, micro=agreement.s2),
        consistency=draw.share(0.8),
        toward_first=draw.share(0.12),
        toward_second=draw.share(0.06),
        preference_fairness=draw.signed(-0.06),
        unparsed_rate=unparsed,
        status_rates={"unparsed": unparsed, "truncated": draw.share(0.03)},
        turns={"1": agreement, "2": agreement},
        order_effects=_order(draw),
        strata={"category": _strata(draw, centre), "length gap": _strata(draw, centre)},
        bias=_bias(draw),
        systems=replace(
            _filled(SystemRanking, lambda: draw.share(0.9)),
            residuals={s: draw.signed() for s in _SYSTEMS},
            adjusted={s: PValue(0.2, 60) for s in _SYSTEMS},
        ),
        win_rates={
            s: WinRate(draw.share(0.5), draw.share(0.5, half=0.09), draw.share(0.5), 2.4)
            for s in _SYSTEMS
        },
        reliability=_reliability(draw),
        confusion=_confusion(),
        certificate=_certificate(),
        expense=ExpenseFigures(824, 4.2, 6.31, 1810.0, 990_000, 70_000),
        counts=_counts(),
    )


def _certificate() -> Certificate:
    return replace(
        _no_certificate(),
        **{"value": 0.786, "bound": 0.751, "n": 412, "n_eff": 260.0, "prompts": 80},
        **{"method": "clustered", "target": 0.8, "why": None},
    )


def _no_certificate() -> Certificate:
    return Certificate("s1", None, None, 0.95, 0, None, 0, "", why="no human votes")


def _order(draw: Draw) -> OrderEffects:
    table = np.array([[20, 4, 90, 1], [3, 22, 5, 0], [95, 6, 31, 2], [0, 1, 2, 0]], np.intp)
    return replace(
        _filled(OrderEffects, draw.share),
        lean=PValue(0.012, 33),
        excess_flips=draw.signed(0.05),
        table=table,
    )


def _strata(draw: Draw, centre: float) -> Mapping[str, StratumFigures]:
    parts = {
        part: _filled(StratumFigures, lambda: draw.share(centre, half=0.09)) for part in _CATEGORIES
    }
    small = Estimate(None, None, None, 3, "fewer than 5 prompts")
    suppressed = replace(_filled(StratumFigures, lambda: small), pairs=3, prompts=2)
    return {**{k: replace(v, pairs=58, prompts=11) for k, v in parts.items()}, "stem": suppressed}


def _bias(draw: Draw) -> Bias:
    names = ("position", "length", "markdown", "own_family")
    pulls = {
        f: Pull(draw.share(0.6), draw.share(0.55), draw.signed(0.04))
        for f in ("length", "lists", "markdown", "own_family")
    }
    return replace(
        _filled(Bias, lambda: draw.signed(0.02)),
        **pulls,
        effects={n: draw.signed(0.03) for n in names},
    )


def _reliability(draw: Draw) -> Reliability:
    grid = np.linspace(0.5, 0.99, 8)
    share = np.linspace(0.1, 1.0, 10)
    return replace(
        _filled(Reliability, lambda: draw.share(0.18)),
        miscalibration=0.039,
        discrimination=0.071,
        uncertainty=0.248,
        temperature=2.1,
        slope=0.51,
        intercept=-0.2,
        misfit=PValue(0.004, 1226),
        curve=tuple(ReliabilityPoint(float(x), float(x - 0.06), 50) for x in grid),
        coverage=tuple(CoveragePoint(float(c), draw.share(0.93 - 0.15 * float(c))) for c in share),
    )


def _confusion() -> Confusion:
    rows = ("first", "tie", "second", "inconsistent", "no label")
    counts = [[120, 14, 9, 2], [11, 31, 12, 6], [14, 12, 131, 3], [10, 9, 12, 1], [3, 2, 4, 0]]
    return Confusion(rows, ("first", "tie", "second", "both bad"), np.array(counts, np.intp))


def _counts() -> LabelCounts:
    return LabelCounts(
        pairs=420,
        labelled=412,
        first=150,
        second=160,
        ties=60,
        inconsistent=42,
        undecided={"unparsed": 5, "split": 2},
        pending=1,
        judgments=830,
        by_status={"verdict": 820, "unparsed": 8, "truncated": 2},
    )


def _votes() -> VoteCounts:
    return VoteCounts(1240, 1226, {"skip": 11, "unknown pair": 3}, 27, 9, 412)


def _exact(value: float) -> Estimate:
    return Estimate(value, value, value, 1226)


def _filled(kind: type, estimate: Callable[[], Estimate]) -> Any:
    """Return a dataclass with every estimate drawn and everything else empty."""
    hints = get_type_hints(kind)
    return kind(**{f.name: _value(hints[f.name], estimate) for f in fields(kind)})


def _value(hint: Any, estimate: Callable[[], Estimate]) -> Any:
    if hint is Estimate:
        return estimate()
    if hint is PValue:
        return PValue(None, 0, "no human votes")
    if hint is Confusion:
        return Confusion((), (), np.zeros((0, 0), np.intp))
    if hint is Certificate:
        return _no_certificate()
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        return _filled(hint, estimate)
    if type(None) in get_args(hint):
        return None
    simple: dict[Any, Any] = {int: 0, float: 0.0, str: "", bool: False}
    if hint in simple:
        return simple[hint]
    origin = get_origin(hint)
    if origin is np.ndarray:
        return np.zeros((4, 4), np.intp)
    return {} if isinstance(origin, type) and issubclass(origin, Mapping) else ()
