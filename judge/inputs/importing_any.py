"""Which way a file is imported: by its kind, by a map of its columns, or by the tool it is from."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from judge.errors import ConfigError
from judge.inputs.importing import ImportKind, ImportResult, import_records
from judge.inputs.importing_fastchat import import_fastchat
from judge.inputs.importing_tables import import_table
from judge.inputs.intake import Selection
from judge.inputs.mapping import TableMap, table_map
from judge.settings.suggestion import did_you_mean


class ForeignFormat(StrEnum):
    """Tools whose files are read as they are."""

    FASTCHAT = "fastchat"


def import_any(
    paths: Sequence[str],
    ledger_path: Path,
    *,
    kind: ImportKind | None,
    mapping: tuple[str | None, str | None],
    foreign: str | None,
    selection: Selection,
    allows_tie: bool,
    skip_bad_lines: bool,
) -> ImportResult:
    """Store what files hold; `mapping` is the texts of `--map` and `--values`.

    Raises ConfigError, before any file is read, for settings that do not go together.
    """
    table = table_map(*mapping)
    if foreign is not None:
        _check_foreign(foreign, kind, table, selection)
        return import_fastchat(
            paths, ledger_path, allows_tie=allows_tie, skip_bad_lines=skip_bad_lines
        )
    _check_single(paths, kind, table, selection)
    if table is not None:
        return import_table(
            paths[0],
            table,
            ledger_path,
            kind=kind,
            selection=selection,
            skip_bad_lines=skip_bad_lines,
        )
    assert kind is not None  # as checked
    return import_records(
        paths[0], kind, ledger_path, allows_tie=allows_tie, skip_bad_lines=skip_bad_lines
    )


def _check_single(
    paths: Sequence[str], kind: ImportKind | None, table: TableMap | None, selection: Selection
) -> None:
    if len(paths) != 1:
        raise ConfigError(
            f"{len(paths)} files, and only --from takes several; import them one by one"
        )
    if table is None and selection != Selection(seed=selection.seed):
        raise ConfigError("--limit, --sample: only rows of a table are selected; give its --map")
    if table is None and kind is None:
        raise ConfigError(
            f"say what {paths[0]} holds: --kind {'|'.join(ImportKind)} for our own JSON Lines, "
            f"--map for a table of other columns, or --from {'|'.join(ForeignFormat)}"
        )


def _check_foreign(
    foreign: str, kind: ImportKind | None, table: TableMap | None, selection: Selection
) -> None:
    known = [format_.value for format_ in ForeignFormat]
    if foreign not in known:
        hint = did_you_mean(foreign, known)
        raise ConfigError(f'--from "{foreign}": unknown{hint or ";"} known are {", ".join(known)}')
    if table is not None:
        raise ConfigError(
            f"--map and --from {foreign}: the format has columns of its own; leave out one of the "
            "two"
        )
    if kind is not None:
        raise ConfigError(
            f"--kind and --from {foreign}: its files say what they hold; leave out --kind"
        )
    if selection != Selection(seed=selection.seed):
        raise ConfigError(f"--limit, --sample and --from {foreign}: all is taken; leave them out")
