"""A third system for the histories: the open format, kept in memory, with versions, keys of its own and a lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from hub.connectors.base import Accepted, Outgoing, Page, Refused, Repeat, SourceRecord, Stale

Tree = dict[str, Any]
LISTS = ("concerns", "goals", "measures", "evaluations", "meetings", "notes", "agreements", "consents", "parties")


class Third:
    """One system that holds records of the open format. `saved` is what its own users do."""

    lists_all = True
    answers = True
    repeat: Repeat = "look_up"

    def __init__(self) -> None:
        self.records: dict[str, Tree] = {}
        self.received: list[str] = []
        self._versions: dict[str, int] = {}
        self._next = 0

    def saved(self, record_id: str, tree: Tree) -> None:
        """Keep a record, new or changed."""
        for name in LISTS:
            for element in tree.get(name) or ():
                if not element.get("id"):
                    self._next += 1
                    element["id"] = f"{name}-{self._next}"
        self.records[record_id] = tree
        self._versions[record_id] = self._versions.get(record_id, 0) + 1

    def check(self) -> None:
        """Be there."""

    def pages(self, after: str = "") -> Iterator[Page]:
        """List everything on one page."""
        assert not after
        yield Page(tuple(map(self.fetch, sorted(self.records))))

    def settle(self, page: Page, refused: Mapping[str, str]) -> None:
        """Note nothing."""

    def fetch(self, record_id: str) -> SourceRecord:
        """Give one record."""
        if record_id not in self.records:
            raise Refused("no_record", "there is no such record", "Look for it")
        return SourceRecord(record_id, str(self._versions[record_id]), deepcopy(self.records[record_id]))

    def update(self, outgoing: Outgoing) -> Accepted:
        """Take a change to the record as it stands."""
        record_id = outgoing.before.id
        if outgoing.before.version != str(self._versions[record_id]):
            raise Stale("stale", "the record is newer", "Read it again")
        self.saved(record_id, deepcopy(outgoing.after))
        self.received.append(record_id)
        return Accepted(self.fetch(record_id), f"{record_id}@{self._versions[record_id]}")
