"""The cost of one log does not grow with the others: every statement about a log finds it by its id."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from hub.sandbox.stories import reader_without_consent, shared_conflict, shared_level_2
from tests.sync.house import House

ABOUT_A_LOG = re.compile(r"^(SELECT|UPDATE|DELETE)\b.* WHERE .*\blog_id (=|IN) \(?\?")


@contextmanager
def _statements() -> Iterator[dict[str, Any]]:
    """Collect the statements of the block, each with the parameters of its last use."""
    found: dict[str, Any] = {}

    def told(*about: Any) -> None:
        _, _, statement, parameters, _, many = about
        found[" ".join(statement.split())] = parameters[0] if many else parameters

    event.listen(Engine, "before_cursor_execute", told)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", told)


def test_what_stands_about_a_log_is_found_by_its_id(house: House, path: Path) -> None:
    """None of a sync's statements about a log goes through all of a municipality; SQLite itself tells how it looks."""
    for story in (shared_level_2, shared_conflict, reader_without_consent):
        house.tell(story)
    with _statements() as found:
        house.sync()
    asked = {statement: given for statement, given in found.items() if ABOUT_A_LOG.search(statement)}
    assert len(asked) > 15
    with closing(sqlite3.connect(path)) as db:
        for statement, given in asked.items():
            plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", given))
            assert "log_id=?" in plan, f"{statement}: {plan}"
