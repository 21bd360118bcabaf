"""When a log goes to the archive: how an interval of months is counted, and what its keys tell."""

from __future__ import annotations

from datetime import date

import pytest

from hub.relaylog.archiving import entry_key, is_periodic
from hub.relaylog.months import months_on

LOG = "c0a2f4a0-51d0-4f1a-8a26-53a9f6c6b3aa"


@pytest.mark.parametrize(
    ("day", "months", "before"),
    [
        (date(2026, 11, 21), 6, date(2026, 5, 21)),
        (date(2026, 3, 1), 6, date(2025, 9, 1)),
        (date(2026, 8, 31), 6, date(2026, 2, 28)),
        (date(2028, 8, 31), 6, date(2028, 2, 29)),
        (date(2026, 1, 31), 1, date(2025, 12, 31)),
        (date(2026, 12, 5), 12, date(2025, 12, 5)),
        (date(2026, 11, 21), 120, date(2016, 11, 21)),
    ],
)
def test_months_are_counted_back_by_the_calendar(day: date, months: int, before: date) -> None:
    """The same day of an earlier month, over the turn of a year too, and in a shorter month its last."""
    assert months_on(day, -months) == before


def test_a_key_tells_whether_the_log_went_on() -> None:
    """Each archiving has a key of its own, and of the same revision a closing has another than a log that goes on."""
    keys = [entry_key(LOG, revision, periodic=periodic) for revision in (1, 2) for periodic in (False, True)]
    assert keys == [f"relay:{kind}:{LOG}:{number}" for number in (1, 2) for kind in ("avslutning", "periodisk")]
    assert [is_periodic(key) for key in keys] == [False, True, False, True]
