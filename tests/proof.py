"""How it is proved that something is wiped: by asking every table, and by scanning every byte of the files."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from hub.store.database import Database
from hub.store.tables import metadata

PIECE = 32
"""So many bytes of something sealed are nowhere else by chance."""


def sealed_values(db: Database) -> list[bytes]:
    """Return every sealed value that a query finds, wrapped keys too."""
    with db.read() as tx:
        return [
            value
            for table in metadata.sorted_tables
            for row in tx.execute(select(table)).mappings()
            for name, value in row.items()
            if name.startswith(("sealed_", "wrapped_")) and value
        ]


def rows_about(db: Database, log_id: str) -> dict[str, int]:
    """Return how many rows name a log, by table."""
    with db.read() as tx:
        found = {
            table.name: len(tx.execute(select(table).where(table.c.log_id == log_id)).all())
            for table in metadata.sorted_tables
            if "log_id" in table.c
        }
    return {name: number for name, number in found.items() if number}


def bytes_on_disk(database: Path) -> bytes:
    """Return all bytes of an SQLite database: the file, and its logs beside it."""
    return b"".join(file.read_bytes() for file in database.parent.glob(f"{database.name}*"))


def left_in(content: bytes, value: bytes) -> bool:
    """Tell whether any piece of a sealed value is among these bytes; a long one lies there page by page."""
    return any(value[start : start + PIECE] in content for start in range(0, max(1, len(value) - PIECE + 1), PIECE))
