"""`judge handoff`: what people are to judge."""

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from judge.api.base import DEFAULT_LEDGER
from judge.api.deliver import handoff
from judge.cli.talk import talk_on_stderr

if TYPE_CHECKING:
    from judge.people.handing_over import Handoff

FEW_PROMPTS = 200


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class DrawFlags:
    """Which pairs of the run are handed over."""

    n: Annotated[int, Parameter(name="--n")]
    """Pairs to draw uniformly at random, the audit; 0 for none, with --include."""
    include: list[Literal["inconsistent", "tie", "undecided"]] | None = None
    """Also hand over every pair with this outcome; may be repeated."""
    seed: int = 0
    """Seed of the draw, the sides and the sequence."""
    batch: str | None = None
    """Name of the batch; votes carry it. By default it is made of the other settings."""
    again: bool = False
    """Let pairs take part that were handed off before or have human votes."""


def command(
    *,
    draw: DrawFlags,
    out: Path,
    guidelines_out: Path | None = None,
    run: str = "latest",
    ledger: Path = DEFAULT_LEDGER,
) -> int:
    """Draw pairs of a run for people to judge, and write them as blinded tasks with guidelines.

    Tasks name no model, judge or pair, and their sides and sequence are random. What comes back
    is loaded with judge import --kind votes. The same command writes the same files again.

    Parameters
    ----------
    out
        JSON Lines file of tasks to write.
    guidelines_out
        Markdown file of guidelines to write, by default beside the tasks.
    run
        A run's id, or latest.
    ledger
        Where the judgments are kept.
    """
    flags = asdict(draw) | {"include": draw.include or ()}
    done = handoff(out, ledger=ledger, run=run, guidelines_out=guidelines_out, **flags)
    talk = talk_on_stderr()
    for line in warning_lines(done):
        talk.warn(line)
    talk.say("\n".join(handoff_lines(done, ledger)))
    return 0


def warning_lines(done: "Handoff") -> list[str]:
    """Return what is not as one may have expected."""
    batch, lines = done.batch, []
    if done.is_repeat:
        lines.append(
            f"batch {batch.name} was handed off before: the same tasks once more; "
            "for further ones give another --seed or --batch"
        )
    if done.audit_tasks < batch.n:
        lines.append(
            f"--n {batch.n:,} is more than the {batch.frame_size:,} pairs that can be drawn: "
            "all of them were"
        )
    lines += [
        f"--include {outcome}: no pair that can be drawn has this outcome"
        for outcome, count in done.included_tasks.items()
        if not count
    ]
    if 0 < done.audit_prompts < FEW_PROMPTS:
        lines.append(
            f"the audit covers {done.audit_prompts:,} prompts: below {FEW_PROMPTS} the intervals "
            "of agreement are wide"
        )
    return lines


def handoff_lines(done: "Handoff", ledger: Path) -> list[str]:
    """Return what was drawn, from what, and what to do next."""
    batch = done.batch
    excluded = ", ".join(f"{reason} {count:,}" for reason, count in batch.excluded.items())
    included = [
        f"all {count:,} {outcome}" for outcome, count in done.included_tasks.items() if count
    ]
    both = sum(task.is_audit and task.included_as is not None for task in done.tasks)
    also = f"; included {', '.join(included)}, {both:,} of them in the audit too"
    return [
        f"tasks     {len(done.tasks):,} over {done.prompts:,} prompts in {done.out}; "
        f"guidelines in {done.guidelines}; batch {batch.name}",
        f"audit     {done.audit_tasks:,} of {batch.frame_size:,} pairs that can be drawn, each "
        f"with probability {batch.audit_probability:.4g}, over {done.audit_prompts:,} prompts"
        f"{also if included else ''}",
        f"left out  {excluded or 'nothing'}",
        f"next      judge import ANSWERS --kind votes --ledger {shlex.quote(str(ledger))}",
    ]
