"""Flags for a table whose columns have other names."""

from dataclasses import dataclass

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class MapFlags:
    """What the columns and the cells of a table mean."""

    map: str | None = None
    """For a table (JSON, JSON Lines, CSV, TSV) of other columns: TARGET=COLUMN, separated by \
commas, where COLUMN+COLUMN joins two. Targets are prompt, first, second, reference, pair_id, \
prompt_id, first_model, second_model, tags.NAME and vote:ANNOTATOR."""
    values: str | None = None
    """What the cells of vote columns mean, such as 0=tie,1=first,2=second; both_bad and skip are \
known too."""
