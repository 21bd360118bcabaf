"""What the status page says: a verdict on each connection, holds by reason without what reveals, and who decides.

Pure functions from the hub's reports to what the template shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from hub.operate.report import ConnectionStatus, InboxItem, TenantStatus
from hub.operate.words import decides
from hub.store.connections import Stop, StopCode
from hub.store.tables import RunState
from hub.web.words import WORDS

STALE = timedelta(days=1)
"""A connection that ran longer ago than this is not called well."""

SPECIAL = "special"
TOLD = frozenset(key.removeprefix("reason.") for key in WORDS["nb"] if key.startswith("reason."))
"""The reasons that have words of their own. Any other reads as the special rule."""

ERRORS: Mapping[str, str] = {
    "connect_timeout": "unreachable",
    "connection_refused": "unreachable",
    "connection_lost": "unreachable",
    "connection_reset": "unreachable",
    "read_timeout": "unreachable",
    "too_slow": "unreachable",
    "name_not_found": "address",
    "certificate_expired": "certificate",
    "certificate_not_trusted": "certificate",
    "tls_failed": "certificate",
    "internal_error": "internal",
    "store_unavailable": "internal",
    "token_refused": "login",
    "unauthorized": "login",
    "not_found": "address",
    "bad_address": "address",
    "no_folder": "folder",
    "no_access": "folder",
    "disk_full": "folder",
    "folder_unavailable": "folder",
    "listing_too_short": "short",
}
"""What a connector's error code is in words; others by `error_word`."""


@dataclass(frozen=True)
class Verdict:
    """How a connection stands: how grave, and the keys of its words; `code` is the error's own, `error` its words.

    `until` is when the hub goes on by itself, `by` the user id of who stopped it.
    """

    kind: Literal["ok", "wait", "bad"]
    word: str
    error: str = ""
    code: str = ""
    until: datetime | None = None
    by: str = ""


@dataclass(frozen=True)
class ConnectionRow:
    """One line of the table of connections."""

    name: str
    verdict: Verdict
    status: ConnectionStatus


@dataclass(frozen=True)
class StuckRow:
    """A change that was not sent: its connection, the code of what went wrong, and the command that decides on it."""

    name: str
    code: str
    command: str


@dataclass(frozen=True)
class WaitingRow:
    """What waits for one role: how much of each kind, and since when the oldest."""

    decider: str
    counts: Mapping[str, int]
    total: int
    oldest: datetime


@dataclass(frozen=True)
class Municipality:
    """One municipality on the page. `held` counts open holds by the key of the reason's words.

    `archive` is told where something stops it. `stuck` are the oldest changes that were not sent, `more` how many there
    are beside them by connection.
    """

    name: str
    number: str
    status: TenantStatus
    connections: tuple[ConnectionRow, ...]
    held: Mapping[str, int]
    waiting: tuple[WaitingRow, ...]
    open: int
    archive: Verdict | None
    stuck: tuple[StuckRow, ...]
    more: Mapping[str, int]


def municipality(name: str, status: TenantStatus, inbox: Sequence[InboxItem], now: datetime) -> Municipality:
    """Return what the page shows of one municipality. `inbox` is everything of it that waits."""
    rows = tuple(
        ConnectionRow(each.connection.rpartition("/")[2], verdict(each, now), each) for each in status.connections
    )
    stuck = [StuckRow(row.name, each.code, decides(each)) for row in rows for each in row.status.stuck_first]
    more = {row.name: row.status.failed - len(row.status.stuck_first) for row in rows if row.status.stuck_first}
    return Municipality(
        name=name,
        number=status.tenant,
        status=status,
        connections=rows,
        held=held_in_words(inbox),
        waiting=waiting_by_decider(inbox),
        open=len(inbox),
        archive=stopped(status.archive_stop) if status.archive_stop else None,
        stuck=tuple(stuck),
        more={name: left for name, left in more.items() if left},
    )


def verdict(status: ConnectionStatus, now: datetime) -> Verdict:
    """Return how a connection stands: what stops it, then the gravest first."""
    if status.stop is not None:
        return stopped(status.stop)
    if status.last_run in (RunState.FAILED, RunState.HELD):
        return Verdict("bad", "run_failed", error_word(status.last_error), status.last_error)
    if status.failed:
        return Verdict("bad", "send_failed", "send", max(status.stuck, key=lambda code: status.stuck[code], default=""))
    if status.last_run == RunState.QUEUED and status.last_error:
        error = error_word(status.last_error)
        return Verdict("wait", "again", error, status.last_error, until=status.next_try_at)
    if not status.last_run:
        return Verdict("wait", "never")
    if status.last_ended_at is not None and now - status.last_ended_at > STALE:
        return Verdict("wait", "stale")
    if status.held or status.quarantined or status.conflicts:
        return Verdict("wait", "person")
    if status.unknown:
        return Verdict("wait", "look_up")
    return Verdict("ok", "ok" if status.last_run == RunState.DONE else "running")


def stopped(stop: Stop) -> Verdict:
    """Return what stops a connection, or the archive."""
    if stop.code is StopCode.PAUSED:
        return Verdict("wait", "paused", by=stop.by)
    return Verdict("bad" if stop.code is StopCode.BREAKER_OPEN else "wait", str(stop.code), until=stop.until)


def error_word(code: str) -> str:
    """Return the key of the words for a connector's error code."""
    return ERRORS.get(code) or ("system" if code.startswith("http_") else "answer")


def held_in_words(inbox: Iterable[InboxItem]) -> dict[str, int]:
    """Return open holds by reason, the most first; what may reveal something is one sum, last.

    A reason that reveals comes as the special rule already, which has no words here; so has one that is new.
    """
    held = Counter(item.reason if item.reason in TOLD else SPECIAL for item in inbox if item.kind == "hold")
    return dict(sorted(held.items(), key=lambda pair: (pair[0] == SPECIAL, -pair[1], pair[0])))


def waiting_by_decider(inbox: Iterable[InboxItem]) -> tuple[WaitingRow, ...]:
    """Return what waits, by who decides, those with most first."""
    items: dict[str, list[InboxItem]] = {}
    for item in inbox:
        items.setdefault(item.addressed_to, []).append(item)
    rows = [
        WaitingRow(decider, Counter(item.kind for item in theirs), len(theirs), min(item.since for item in theirs))
        for decider, theirs in items.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.total, row.decider)))
