"""A table of other column names as an input: its `--map` and `--values`, read once and kept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from judge.errors import ConfigError
from judge.formats.column_map import (
    DEFAULT_VALUES,
    ColumnMap,
    VotePreference,
    parse_map,
    parse_values,
)
from judge.formats.lines import BadLine, Line
from judge.formats.mapped import MappedRow, read_mapped
from judge.formats.tables import read_rows


@dataclass(frozen=True, slots=True)
class TableMap:
    """How a table is read."""

    columns: ColumnMap
    preferences: Mapping[str, VotePreference]
    """By what a vote column holds."""
    given: tuple[str, str | None]
    """The texts of `--map` and `--values`: another spelling makes another run."""

    @property
    def has_votes(self) -> bool:
        return bool(self.columns.votes)

    @property
    def id_note(self) -> str:
        """What to add where the id of a pair is refused, if no column holds the ids."""
        if not self.has_votes or self.columns.pair_id is not None:
            return ""
        return " (ids are the file's name and the row; map a column to pair_id for others)"

    def rows(self, path: str) -> Iterator[Line[MappedRow] | BadLine]:
        """One pair with its votes, or one problem, per row.

        Iterating raises InputError when the file as a whole cannot be used or lacks a column.
        """
        return read_mapped(path, self.columns, self.preferences)

    def count_rows(self, path: str) -> int:
        """Return how many rows a file has, bad ones included, as `rows` counts them."""
        return sum(1 for _ in read_rows(path))


def table_map(map_text: str | None, values_text: str | None) -> TableMap | None:
    """Return the map that two texts spell, or None where no map is given.

    Raises ConfigError for a text that is wrong, and for values that no column is read with.
    """
    if map_text is None:
        if values_text is not None:
            raise ConfigError("--values: nothing to apply it to; name the columns with --map")
        return None
    columns = parse_map(map_text)
    if values_text is not None and not columns.votes:
        raise ConfigError(
            "--values: the map names no column of votes; add vote:ANNOTATOR=COLUMN to --map, or "
            "leave --values out"
        )
    preferences = DEFAULT_VALUES if values_text is None else parse_values(values_text)
    return TableMap(columns, preferences, (map_text, values_text))
