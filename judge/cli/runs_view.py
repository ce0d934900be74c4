"""Runs and deletions in words. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from judge.cli.columns import aligned
from judge.cli.spending_words import dollars
from judge.cli.visible import on_one_line

if TYPE_CHECKING:
    from judge.job.run_listing import RunDetail, RunSummary
    from judge.ledger.deletion import Deletion
    from judge.ledger.run_facts import ReplyFigures

_HEAD = ("run", "begun (UTC)", "source", "judges", "pairs", "done", "pending", "outcomes")
_NUMBERS = frozenset({4, 5, 6})


def run_table(runs: Sequence["RunSummary"]) -> list[str]:
    """Return one line per run under a heading."""
    return aligned([_HEAD, *map(_row, runs)], right=_NUMBERS)


def detail_lines(detail: "RunDetail") -> list[str]:
    """Return everything about one run, a line each."""
    run = detail.summary
    rows = [
        ("run", run.run_id if run.is_complete else f"{run.run_id}, its input not read to the end"),
        ("begun", run.created_at),
        ("source", on_one_line(run.source)),
        ("settings", _settings(detail.settings)),
        ("pairs", f"{run.pairs:,}"),
        ("asks", _asks(run)),
        ("outcomes", _counted(run.outcomes) or "none"),
    ]
    for judge in detail.judges:
        rows.append(("judge", on_one_line(f"{judge.name}: model {judge.model}")))
        prompt = f"prompt {judge.prompt}, digest {judge.prompt_digest}; "
        rows.append(("", on_one_line(prompt + _settings(judge.sampling))))
        figures, expense = detail.replies.get(judge.name), detail.expenses.get(judge.name)
        told = _figures(figures, expense.usd if expense else None) if figures else ["no reply yet"]
        rows += [("", line) for line in told]
    if detail.usd_per_1000_labels:
        price = dollars(detail.usd_per_1000_labels)
        rows.append(("price", f"{price} per 1,000 usable labels, judging alone"))
    for reason, count in detail.deferrals:
        rows.append(("waiting", f"{count:,}: {on_one_line(reason)}"))
    return aligned(rows)


def deletion_lines(deletion: "Deletion") -> list[str]:
    """Return what a deletion takes away, and what of the run stays."""
    gone = [
        _many(deletion.judgments, "judgment"),
        _many(deletion.pairs, "pair"),
        f"texts of {_many(deletion.contents, 'pair')}",
        _many(deletion.deferrals, "note") + " on asks given up",
    ]
    if deletion.generations:
        gone.append(_many(deletion.generations, "generated answer"))
    lines = [f"run {deletion.run_id}: {', '.join(gone)}"]
    kept = []
    if deletion.kept_judgments:
        kept.append(f"{_many(deletion.kept_judgments, 'judgment')} that other runs use")
    if deletion.kept_pairs:
        kept.append(f"{_many(deletion.kept_pairs, 'pair')} that other runs select")
    if deletion.voted_pairs:
        kept.append(f"{_many(deletion.voted_pairs, 'pair')} that people voted on")
    if deletion.votes:
        kept.append(_many(deletion.votes, "vote"))
    return [*lines, f"kept: {', '.join(kept)}"] if kept else lines


def _row(run: "RunSummary") -> tuple[str, ...]:
    return (
        run.run_id,
        run.created_at[:16].replace("T", " "),
        on_one_line(run.source) + ("" if run.is_complete else " (not read to the end)"),
        on_one_line(", ".join(run.judges)) or "-",
        f"{run.pairs:,}",
        f"{run.done:,}",
        "-" if run.pending is None else f"{run.pending:,}",
        _counted(run.outcomes) or "-",
    )


def _figures(figures: "ReplyFigures", usd: float | None) -> list[str]:
    counted = {"verdict": figures.verdicts, **figures.statuses}
    tokens = f"tokens in {_number(figures.input_tokens)}, out {_number(figures.output_tokens)}"
    latency = figures.mean_latency_s
    time = "unknown" if latency is None else f"{latency:.2f} s"
    cost = "" if usd is None else f", cost {dollars(usd)}"
    retried = f"{figures.retries:,} requests repeated"
    return [
        f"judgments {figures.judgments:,}: {_counted(counted)}; {retried}",
        f"{tokens}{cost}; mean latency {time}; {figures.rewrites:,} places neutralised",
    ]


def _asks(run: "RunSummary") -> str:
    done = f"{run.done:,} done"
    return done if run.pending is None else f"{done}, {run.pending:,} pending"


def _settings(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in _flat(settings))


def _flat(settings: Mapping[str, object], table: str = "") -> Iterable[tuple[str, object]]:
    """Yield dotted name and value of every setting that is set, those of inner tables too."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{table}{name}.")
        elif value is not None:
            yield table + name, value


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{on_one_line(name)} {count:,}" for name, count in counts.items())


def _number(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
