"""Which figures are missing from a report, grouped by the reason."""

from collections import Counter
from collections.abc import Container, Iterator, Sequence

from calibration.intervals import ONE_CLUSTER
from calibration.report.model import Report
from calibration.strata import MIN_PROMPTS, MIN_VOTES

Path = tuple[str, ...]

_WITHOUT_VOTES = {"order_effects", "coherence", "status_rates", "consistency", "toward_first",
                  "toward_second", "preference_fairness", "unparsed_rate"}  # fmt: skip
"""Figures of a judge that need no human votes; all others do, the ceiling and baselines too."""


def absences(report: Report) -> Iterator[str]:
    """Yield a line for each reason, with the figures that lack their value or their interval."""
    absent: dict[tuple[bool, str], list[Path]] = {}
    small = 0
    for path, estimate in report.missing():
        if not report.votes.votes and not _needs_no_votes(path):
            continue  # told in one line below, for all of them
        why = estimate.why or ""
        if _is_of_a_part(path):
            small += 1
        else:
            absent.setdefault((estimate.value is None, why), []).append(path)
    for (has_no_value, why), paths in absent.items():
        what = "Not computed" if has_no_value else "No interval"
        # One cause for every figure needs no list of them.
        whole = why == ONE_CLUSTER and report.prompts == 1
        names = "any figure" if whole else ", ".join(_merged(report, paths))
        yield f"{what} ({why}): {names}"
    if small:
        parts = f"fewer than {MIN_VOTES} votes or {MIN_PROMPTS} prompts"
        yield f"Not shown ({parts}): {small:,} figures of parts and annotators"
    if not report.votes.votes:
        yield (
            "Not computed (no human votes): S1, S2, kappa and the other coefficients, what is set "
            "beside the humans, the human ceiling and the baselines"
        )


def _needs_no_votes(path: Path) -> bool:
    return path[0] == "judges" and path[2] in _WITHOUT_VOTES


def _is_of_a_part(path: Path) -> bool:
    """Whether a figure is of one part of the pairs, or of one annotator."""
    return path[2:3] == ("strata",) or path[:2] == ("ceiling", "annotators")


def _merged(report: Report, paths: list[Path]) -> list[str]:
    """Name a group of figures once where all of it is missing, and no single figure twice.

    What every judge lacks is named without the judges.
    """
    every = Counter(group for path, _ in report.figures() for group in _groups(path))
    found = Counter(group for path in paths for group in _groups(path))
    whole = (
        next(group for group in _groups(path) if found[group] == every[group]) for path in paths
    )
    groups = dict.fromkeys(whole)
    return list(dict.fromkeys(_named(group, groups, list(report.judges)) for group in groups))


def _named(group: Path, groups: Container[Path], judges: Sequence[str]) -> str:
    if group[0] != "judges" or len(group) < 3:
        return ".".join(group)
    everyone = all(("judges", judge, *group[2:]) in groups for judge in judges)
    return ".".join(group[2:] if everyone else group)


def _groups(path: Path) -> list[Path]:
    """The groups that a figure is in, the widest first, down to the figure itself."""
    return [path[:depth] for depth in range(1, len(path) + 1)]
