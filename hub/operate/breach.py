"""What a faulty period reached: which logs and parts went to which readers. For whoever must report a breach.

Ids, codes and counts only. A sending without an answer counts: that it arrived cannot be ruled out.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from hub.operate.sendings import Sending


@dataclass(frozen=True)
class Reach:
    """How far it went: sendings, logs, children, and at most so many of the family. `unknown`: persons not counted."""

    sendings: int
    logs: int
    children: int
    persons: int
    unknown: int


def reach(found: Sequence[Sending]) -> Reach:
    """Count what sendings reached. A child with two logs counts once; who stands in two logs counts in both."""
    largest: dict[str, int] = {}
    for one in found:
        largest[one.log_id] = max(largest.get(one.log_id, 0), one.persons)
    return Reach(
        sendings=len(found),
        logs=len(largest),
        children=len({one.subject for one in found}),
        persons=sum(largest.values()),
        unknown=sum(not persons for persons in largest.values()),
    )


def cells(one: Sending) -> tuple[str, ...]:
    """Return a sending as a row of ids and codes, in the order of HEAD."""
    return (
        one.log_id,
        one.delivery_id,
        one.connection,
        one.at.isoformat(timespec="seconds"),
        one.outcome,
        " ".join(sorted(one.readers)),
        " ".join(sorted(one.parts)),
        one.basis,
        " ".join(sorted(one.opened)),
        str(one.persons) if one.persons else "",
    )


HEAD = (
    "log",
    "delivery",
    "connection",
    "at",
    "outcome",
    "readers",
    "parts",
    "parts_known_from",
    "opened_at_most",
    "persons",
)


def breach_csv(found: Sequence[Sending]) -> bytes:
    """Return sendings as CSV that Norwegian spreadsheets open: semicolons, UTF-8 with its mark."""
    out = StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerows((HEAD, *map(cells, found)))
    return out.getvalue().encode("utf-8-sig")
