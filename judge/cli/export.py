"""`judge export`: deliver what was decided."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from judge.api.base import DEFAULT_LEDGER
from judge.api.deliver import export
from judge.cli.talk import talk_on_stderr

if TYPE_CHECKING:
    from judge.outcomes.exporting import Manifest


def command(
    *,
    out: Path,
    to: Literal["trl", "labels"] = "trl",
    style: Literal["conversational", "standard"] = "conversational",
    ledger: Path = DEFAULT_LEDGER,
    run: str = "latest",
    partial: bool = False,
    margin: Literal["probability", "grade", "grade-unit", "none"] = "probability",
    attributes: bool = False,
) -> int:
    """Write the pairs that one answer won as training data, and a manifest beside the file.

    Ties, inconsistent and undecided pairs are never written as a preference; the manifest counts
    them.

    Parameters
    ----------
    out
        File to write; it appears only once it is whole.
    to
        trl: preference rows for training; labels: every pair with its outcome.
    style
        How trl rows write texts: as messages, or as plain strings.
    ledger
        Where the judgments are kept.
    run
        A run's id, or latest.
    partial
        Export although asks are still pending; the manifest says so.
    margin
        What the column margin of trl rows is made of: probability, |2p - 1| where the judges gave
        one; grade, 2 for much better and 1 for a little, the mean over the orders; grade-unit,
        half of that; none.
    attributes
        Add columns to trl rows for the attributes that the judges rated: NAME_chosen,
        NAME_rejected and NAME_margin. Label rows always hold them.
    """
    manifest = export(
        out,
        ledger=ledger,
        to=to,
        style=style,
        run=run,
        partial=partial,
        margin=margin,
        attributes=attributes,
    )
    talk_on_stderr().say(manifest_line(manifest, out))
    return 0


def manifest_line(manifest: "Manifest", out: Path) -> str:
    """Return in one line what an export holds and what it leaves out."""
    left_out = ", ".join(f"{name} {count:,}" for name, count in manifest.left_out.items())
    partial = "; partial: some pairs still wait for a judgment" if manifest.is_partial else ""
    return (
        f"wrote {manifest.rows:,} of {manifest.pairs:,} pairs to {out}"
        f"; left out: {left_out or 'nothing'}{partial}"
    )
