"""Figures still to be wired: absent, with the reason, until they are."""

from typing import Any

import numpy as np

from calibration.bias import Bias, Pull
from calibration.certificates import Certificate
from calibration.chance import Coefficients, Marginals
from calibration.coherence import Coherence, SystemRanking
from calibration.intervals import Estimate
from calibration.position import OrderEffects
from calibration.probability import Reliability
from calibration.raters import RaterCoefficients
from calibration.report.model import Confusion, ExpenseFigures
from calibration.significance import PValue

E = Estimate(None, None, None, 0, "not computed yet")
_PULL = Pull(E, E, E)
JUDGE: dict[str, Any] = {
    "coefficients": Coefficients(*[E] * 11),
    "marginals": Marginals(E, E, E),
    "order_effects": OrderEffects(
        E, E, PValue(None, 0, "not computed yet"), E, E, E, E, np.zeros((4, 4), np.intp)
    ),
    "strata": {},
    "bias": Bias(_PULL, _PULL, _PULL, _PULL, E, E, {}),
    "coherence": Coherence(E, E),
    "systems": SystemRanking(E, E, {}),
    "win_rates": {},
    "reliability": Reliability(E, E, E, E, None, None, None, None, (), ()),
    "confusion": Confusion((), (), np.zeros((0, 0), np.intp)),
    "certificate": Certificate("s1", None, None, 0.95, 0, None, 0, "", why="not computed yet"),
    "expense": ExpenseFigures(0, None, None, None, None, None),
}
CEILING: dict[str, Any] = {
    "coefficients": RaterCoefficients(*[E] * 8),
    "marginals": Marginals(E, E, E),
    "annotators": {},
}
