"""Counting in months, as terms in law and in agreements are."""

from __future__ import annotations

import calendar
from datetime import date


def months_on(day: date, months: int) -> date:
    """Return the same day so many months later, or earlier where negative; in a shorter month its last day.

    What would be later than any date is in the last year that there is.
    """
    years, month = divmod(day.month - 1 + months, 12)
    year = min(day.year + years, date.max.year)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
