"""Ledgers of an older schema version: a writer brings them up to date, a reader looks past it.

Every version so far only added tables, and columns that may be empty.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, Table, inspect, update
from sqlalchemy.schema import CreateColumn

from judge.ledger.schema import SCHEMA_VERSION, meta, metadata


def upgrade(connection: Connection) -> None:
    """Add to the file what its version lacks, and note the new version.

    The caller's transaction makes it all or nothing: a process that dies meanwhile leaves the
    file in its old version.
    """
    for table, lacking in _lacking(connection):
        if len(lacking) == len(table.columns):
            table.create(connection)
            continue
        for name in lacking:
            column = CreateColumn(table.c[name]).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {_quoted(connection, table)} ADD {column}")
    version = update(meta).where(meta.c.key == "schema").values(value=str(SCHEMA_VERSION))
    connection.execute(version)


def overlay(connection: Connection) -> None:
    """Show this connection what the file's version lacks as empty; the file stays as it is.

    A temporary table or view goes before one of the same name in the file.
    """
    for table, lacking in _lacking(connection):
        quoted = _quoted(connection, table)
        quote = connection.dialect.identifier_preparer.quote
        columns = ", ".join(
            f"NULL AS {quote(column.name)}" if column.name in lacking else quote(column.name)
            for column in table.columns
        )
        if len(lacking) == len(table.columns):
            source = f"SELECT NULL AS rowid, {columns} WHERE 0"
        else:
            source = f"SELECT rowid, {columns} FROM main.{quoted}"
        connection.exec_driver_sql(f"CREATE TEMP VIEW {quoted} AS {source}")


def _lacking(connection: Connection) -> Iterator[tuple[Table, frozenset[str]]]:
    """Yield the tables that the file lacks, wholly or in part, with the columns that it lacks."""
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    for table in metadata.sorted_tables:
        columns = inspector.get_columns(table.name) if table.name in present else []
        lacking = frozenset(table.columns.keys()) - {column["name"] for column in columns}
        if lacking:
            yield table, lacking


def _quoted(connection: Connection, table: Table) -> str:
    return connection.dialect.identifier_preparer.format_table(table)
