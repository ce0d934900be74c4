"""The figures of one judge that need to know the answers: whose they are, what they look like."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from calibration.bias import Bias, bias
from calibration.coherence import Coherence, coherence
from calibration.inference import WinRate, win_rates
from calibration.intervals import Estimate, Floats
from calibration.ranking import SystemRanking, system_ranking
from calibration.report.columns import IntervalSettings, JudgeColumns, PairColumns
from calibration.verdict_effects import NO_ANSWERS


@dataclass(frozen=True)
class AnswerFigures:
    """What a judge makes of kinds of answers."""

    bias: Bias
    coherence: Coherence
    systems: SystemRanking
    win_rates: Mapping[str, WinRate]


def answer_figures(
    judge: JudgeColumns, pairs: PairColumns, tally: Floats, *, intervals: IntervalSettings
) -> AnswerFigures:
    """Return the figures about answers; absent, with the reason, where nothing is known of them."""
    drawn = bias(judge, pairs, tally=tally, level=intervals.level)
    first, second = pairs.first, pairs.second
    if first is None or second is None:
        absent = Estimate(None, None, None, 0, NO_ANSWERS)
        nothing = SystemRanking(absent, absent, residuals={}, adjusted={})
        return AnswerFigures(drawn, Coherence(absent, absent), nothing, win_rates={})
    return AnswerFigures(
        bias=drawn,
        coherence=coherence(
            judge.label,
            judge.has_label,
            first_answer=first.answer,
            second_answer=second.answer,
            cluster=pairs.cluster,
            level=intervals.level,
        ),
        systems=system_ranking(
            judge.label,
            judge.has_label,
            votes=tally,
            first_system=first.system,
            second_system=second.system,
            names=pairs.systems,
            cluster=pairs.cluster,
            **asdict(intervals),
        ),
        win_rates=win_rates(
            judge.label,
            tally,
            has_label=judge.has_label,
            cluster=pairs.cluster,
            first_system=first.system,
            second_system=second.system,
            names=pairs.systems,
            probability=judge.probability,
            has_probability=judge.has_probability,
            level=intervals.level,
        ),
    )
