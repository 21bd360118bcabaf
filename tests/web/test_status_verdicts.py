"""What the page concludes from the reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hub.operate.report import ConnectionStatus, InboxItem
from hub.store.connections import Stop, StopCode
from hub.store.inbox import SPECIAL_RULE
from hub.web.status import Verdict, held_in_words, verdict, waiting_by_decider

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
WELL = ConnectionStatus(
    connection="900001002/vigilo",
    last_run="done",
    last_ended_at=NOW - timedelta(minutes=15),
    last_error="",
    records=20,
    sent=14,
    waiting=1,
    unknown=0,
    failed=0,
    held=0,
    quarantined=0,
    conflicts=0,
)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (WELL, Verdict("ok", "ok")),
        (replace(WELL, last_run="running", last_ended_at=None), Verdict("ok", "running")),
        (replace(WELL, last_run="", last_ended_at=None), Verdict("wait", "never")),
        (replace(WELL, held=1), Verdict("wait", "person")),
        (
            replace(WELL, failed=1, stop=Stop(StopCode.PAUSED, NOW, "kari.it")),
            Verdict("wait", "paused", by="kari.it"),
        ),
        (replace(WELL, stop=Stop(StopCode.PARKED, NOW)), Verdict("wait", "parked", until=NOW)),
        (
            replace(WELL, last_run="failed", last_error="http_503", stop=Stop(StopCode.BREAKER_OPEN, NOW)),
            Verdict("bad", "breaker_open", until=NOW),
        ),
        (
            replace(WELL, last_run="queued", last_error="certificate_expired", next_try_at=NOW),
            Verdict("wait", "again", "certificate", "certificate_expired", until=NOW),
        ),
        (
            replace(WELL, failed=3, stuck={"http_422": 1, "unauthorized": 2}),
            Verdict("bad", "send_failed", "send", "unauthorized"),
        ),
        (replace(WELL, quarantined=1), Verdict("wait", "person")),
        (replace(WELL, conflicts=1), Verdict("wait", "person")),
        (replace(WELL, unknown=1), Verdict("wait", "look_up")),
        (replace(WELL, last_ended_at=NOW - timedelta(hours=25), held=1), Verdict("wait", "stale")),
        (replace(WELL, failed=1, held=1), Verdict("bad", "send_failed", "send")),
        (
            replace(WELL, last_run="failed", last_error="connect_timeout"),
            Verdict("bad", "run_failed", "unreachable", "connect_timeout"),
        ),
        (
            replace(WELL, last_run="held", last_error="token_refused", failed=1),
            Verdict("bad", "run_failed", "login", "token_refused"),
        ),
        (
            replace(WELL, last_run="failed", last_error="http_503"),
            Verdict("bad", "run_failed", "system", "http_503"),
        ),
        (
            replace(WELL, last_run="held", last_error="missing_pages"),
            Verdict("bad", "run_failed", "answer", "missing_pages"),
        ),
    ],
)
def test_the_gravest_is_said(status: ConnectionStatus, said: Verdict) -> None:
    """A connection is called well only when nothing is wrong, waits or is old; else the gravest is named."""
    assert verdict(status, NOW) == said


def test_reasons_that_reveal_are_one_sum() -> None:
    """What reveals, whatever it is called, and what nobody has put into words are the special rule, which is last."""
    revealing = ("address_protected", "violence", "guardian_barred", "archive_violence", "archive_protected")
    reasons = [SPECIAL_RULE, *revealing, "a_new_reason", "no_consent", *2 * ["consent_pending"]]
    inbox = [_item("hold", "holder", 0, reason) for reason in reasons] + [_item("conflict", "holder", 0)]
    assert list(held_in_words(inbox).items()) == [("consent_pending", 2), ("no_consent", 1), ("special", 7)]


def test_what_waits_is_counted_by_who_decides() -> None:
    """Each role has its counts by kind, its sum and its oldest; who has most comes first."""
    inbox = [_item("hold", "holder", 2), _item("conflict", "holder", 5), _item("quarantine", "operator", 9)]
    first, second = waiting_by_decider(inbox)
    assert (first.decider, dict(first.counts), first.total) == ("holder", {"hold": 1, "conflict": 1}, 2)
    assert first.oldest == NOW - timedelta(days=5)
    assert (second.decider, second.total) == ("operator", 1)


def _item(kind: str, decider: str, days: int, reason: str = "no_consent") -> InboxItem:
    return InboxItem(kind, f"{kind}-{days}", "", "", reason, "", decider, NOW - timedelta(days=days))
