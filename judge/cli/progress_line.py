"""A job's counts in words: the live line, the structured line and their parts. Pure."""

from collections import Counter

from judge.cli.gate_words import Gates, gates_of
from judge.cli.spending_words import spending_fields, spent_so_far
from judge.cli.visible import cut_short, in_ascii, on_one_line
from judge.job.progress import Progress

_SEPARATOR = " | "
_SHORTEST_PROBLEM = 16


def progress_line(
    progress: Progress, elapsed_s: float, rate: float, width: int, *, problem: str = ""
) -> str:
    """Return one line of at most `width` columns; what does not fit is left out, last things first.

    `rate` is judgments per second, lately. `problem` says why requests are being repeated now.
    """
    gates = gates_of(progress.gates())
    line = f"{progress.done:,}/{progress.total:,}"
    if progress.pending and progress.most > progress.total:
        line += f" (up to {progress.most:,})"
    for wordings in _parts(progress, elapsed_s, rate, gates):
        for wording in wordings:
            if len(line) + len(_SEPARATOR) + len(wording) <= width:
                line += _SEPARATOR + wording
                break
    room = width - len(line) - len(_SEPARATOR)
    if problem and not gates.are_paused and room >= _SHORTEST_PROBLEM:
        line += _SEPARATOR + cut_short(in_ascii(problem), room)
    return line[:width]


def progress_record(progress: Progress, elapsed_s: float, rate: float, *, problem: str = "") -> str:
    """Return the same counts as `key=value` fields, for logs."""
    fields: dict[str, object] = {
        "done": progress.done,
        "total": progress.total,
        **({"most": progress.most} if progress.most > progress.total else {}),
        "elapsed_s": round(elapsed_s),
        "rate_per_s": f"{rate:.1f}",
    }
    if rate > 0:
        fields["left_s"] = round(progress.pending / rate)
    gates = gates_of(progress.gates())
    fields["in_flight"] = max(0, progress.in_flight - gates.waiting)
    fields.update(gates.fields)
    fields["repeated"] = progress.sends_repeated
    fields.update(progress.statuses)
    if progress.compared:
        fields["flips_percent"] = f"{100 * progress.flipped / progress.compared:.1f}"
    fields.update(spending_fields(progress.budget))
    if progress.stage:
        fields["stage"] = repr(in_ascii(progress.stage))
    words = " ".join(f"{key}={value}" for key, value in fields.items())
    tail = f" problem={in_ascii(problem)!r}" if problem else ""
    return f"progress {words}{tail}"


def to_do(progress: Progress) -> str:
    """Return what is left and what need not be asked, such as "0 to do, 4,096 stored"."""
    return f"{progress.pending:,} to do, {progress.stored_before:,} stored"


def retries(progress: Progress) -> str:
    """Return how many requests were repeated and why: "38 retries: 429 20, 500 15, time-out 3"."""
    counted = f"{progress.sends_repeated:,} " + (
        "retry" if progress.sends_repeated == 1 else "retries"
    )
    reasons = counts(progress.retry_reasons)
    return f"{counted}: {reasons}" if reasons else counted


def counts(counter: Counter[str]) -> str:
    """Return counts with their names, the largest first: "429 20, 500 15"."""
    return ", ".join(f"{on_one_line(name)} {count:,}" for name, count in counter.most_common())


def percent(part: int, whole: int) -> str:
    """Return a share such as "1.2 %"; "-" of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def per_second(rate: float) -> str:
    """Return a rate with as many digits as it is worth: "312/s", "4.2/s"."""
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: "9 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _parts(
    progress: Progress, elapsed_s: float, rate: float, gates: Gates
) -> list[tuple[str, ...]]:
    """Return what a line says after the counts, each part with its shorter wordings."""
    time = duration(elapsed_s)
    left = f"{duration(progress.pending / rate)} left" if rate > 0 else ""
    parts: list[tuple[str, ...]] = [
        *([(in_ascii(progress.stage),)] if progress.stage else []),
        (per_second(rate),),
        (f"{time}, {left}", left) if left else (time,),
        (f"{max(0, progress.in_flight - gates.waiting)} in flight",),
        *gates.parts,
        *([(spent,)] if (spent := spent_so_far(progress.budget)) else []),
    ]
    if progress.sends_repeated:
        reasons = retries(progress)
        parts.append((reasons, reasons.partition(":")[0]))
    parts.extend(
        (f"{status} {percent(count, progress.judged)}",)
        for status, count in list(progress.statuses.items())
    )
    if progress.compared:
        parts.append((f"flips {percent(progress.flipped, progress.compared)}",))
    return parts
