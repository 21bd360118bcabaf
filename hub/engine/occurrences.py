"""When a connection's work is to be done: occurrences computed from a schedule, the same on every machine.

An occurrence is named by what was planned, not by who noticed: local date and time for a cron at fixed times, UTC
for intervals. So it runs once however many clocks tick, and a fixed time runs once on both change-over days: the
first of two 02:30 in October, and at 03:00 in March, when there is no 02:30. A cron that fires in every hour of the
day is an interval in this sense: it follows real time, through the doubled hour, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))

Busy = Literal["waits", "runs"]
"""What a schedule is busy with: a run that waits, put off or not yet begun, or else one that is at work."""


class CronError(ValueError):
    """A cron text cannot be read. Names the field, what was found, and what would be right."""


@dataclass(frozen=True)
class Cron:
    """Five fields (minute, hour, day of month, month, day of week 0-7 with Sunday 0 and 7), read in a time zone.

    Numbers, lists, ranges, steps and `*`; where both days are restricted, either is enough, as in POSIX crontab.
    Raises CronError.
    """

    text: str
    zone: ZoneInfo

    def __post_init__(self) -> None:
        """Read the text at once, so that a wrong one is refused where it is written."""
        _ = self.fields

    @cached_property
    def fields(self) -> tuple[frozenset[int], ...]:
        """The values of each field."""
        words = self.text.split()
        if len(words) != len(_FIELDS):
            raise CronError(f"cron '{self.text}' has {len(words)} fields; write five, such as '15 5 * * *'")
        return tuple(_values(word, *field) for word, field in zip(words, _FIELDS, strict=True))

    def runs_on(self, day: date) -> bool:
        """Tell whether the schedule has anything on a day."""
        _, _, days, months, weekdays = self.fields
        if day.month not in months:
            return False
        on_day = day.day in days
        on_weekday = bool({day.isoweekday(), day.isoweekday() % 7} & weekdays)
        free = [word.startswith("*") for word in self.text.split()]
        return (on_day and on_weekday) if free[2] or free[4] else (on_day or on_weekday)

    @property
    def follows_real_time(self) -> bool:
        """Tell whether it fires in every hour, so that a doubled hour has it twice and a skipped hour not at all."""
        return len(self.fields[1]) == 24


@dataclass(frozen=True)
class Every:
    """An interval from a fixed instant on, so that every machine and every restart counts the same."""

    step: timedelta
    anchor: datetime = datetime(2020, 1, 1, tzinfo=UTC)

    def __post_init__(self) -> None:
        """Refuse what would fire without end."""
        if self.step < timedelta(seconds=1) or self.anchor.tzinfo is None:
            raise ValueError("an interval needs at least one second and an aware anchor")


@dataclass(frozen=True)
class Timing:
    """How a connection's schedule is kept.

    `jitter` spreads connections: each starts its own fixed time later, less than this. `misfire_grace` is how long
    after its start an occurrence is in time. `catch_up` says what runs of those that are noticed later: `none`, the
    `latest` or `all`; of several that are noticed together, only `all` runs more than the latest. `overlap` says what
    an occurrence does while the schedule's last run still runs: `wait` for it, or `skip`. While one waits, none is put
    behind it: the one that waits reads for all of them.
    """

    schedule: Cron | Every
    jitter: timedelta = timedelta(0)
    misfire_grace: timedelta = timedelta(minutes=10)
    catch_up: Literal["none", "latest", "all"] = "latest"
    overlap: Literal["wait", "skip"] = "wait"


@dataclass(frozen=True)
class Occurrence:
    """One time that work is to be done: its id, the planned instant (UTC), and when it starts with jitter (UTC)."""

    id: str
    planned_at: datetime
    starts_at: datetime


@dataclass(frozen=True)
class Missed:
    """An occurrence that will not run, and why: `late`, `superseded` by a later one, or `overlap` with a run."""

    occurrence: Occurrence
    why: Literal["late", "superseded", "overlap"]


@dataclass(frozen=True)
class Plan:
    """What became due: the occurrences to run and those missed, both in order."""

    run: tuple[Occurrence, ...]
    missed: tuple[Missed, ...]


def occurrences(connection: str, timing: Timing, after: datetime, until: datetime) -> Iterator[Occurrence]:
    """Give, in order, the occurrences with after < planned_at <= until. Lazy, so that `until` may be far away."""
    schedule = timing.schedule
    offset = _offset(connection, timing.jitter)
    planned = _intervals(schedule, after) if isinstance(schedule, Every) else _crons(schedule, after, until)
    for name, at in planned:
        if at > until:
            return
        if at > after:
            yield Occurrence(f"{connection}@{name}", at, at + offset)


def plan(connection: str, timing: Timing, since: datetime, now: datetime, *, busy: Busy | None) -> Plan:
    """Say which occurrences planned after `since` have started by `now`, and which of them run.

    `since` is the planned instant of the last occurrence that was run or missed. `busy` is what the
    schedule is busy with.
    """
    last = now - _offset(connection, timing.jitter)
    started = tuple(occurrences(connection, timing, since, last))
    caught_up = timing.catch_up != "none"
    wanted = tuple(each for each in started if caught_up or now - each.starts_at <= timing.misfire_grace)
    late = tuple(Missed(each, "late") for each in started[: len(started) - len(wanted)])
    if busy == "waits" or (busy and timing.overlap == "skip"):
        return Plan((), late + tuple(Missed(each, "overlap") for each in wanted))
    if timing.catch_up == "all":
        return Plan(wanted, late)
    return Plan(wanted[-1:], late + tuple(Missed(each, "superseded") for each in wanted[:-1]))


def _offset(connection: str, jitter: timedelta) -> timedelta:
    seconds = int(jitter.total_seconds())
    if not seconds:
        return timedelta(0)
    return timedelta(seconds=int.from_bytes(hashlib.sha256(connection.encode()).digest()[:8]) % seconds)


def _intervals(schedule: Every, after: datetime) -> Iterator[tuple[str, datetime]]:
    anchor = schedule.anchor.astimezone(UTC)
    at = anchor + max(0, (after - anchor) // schedule.step) * schedule.step
    while True:
        yield _utc_name(at), at
        at += schedule.step


def _crons(schedule: Cron, after: datetime, until: datetime) -> Iterator[tuple[str, datetime]]:
    # One day earlier, because a time skipped at midnight runs on the next day.
    day = after.astimezone(schedule.zone).date() - _DAY
    last = until.astimezone(schedule.zone).date()
    of_day = _real_times if schedule.follows_real_time else _fixed_times
    while day <= last:
        if schedule.runs_on(day):
            yield from of_day(schedule, day)
        day += _DAY


def _fixed_times(schedule: Cron, day: date) -> Iterator[tuple[str, datetime]]:
    for local in _local_times(schedule, day):
        existing = local
        while not (instants := _instants(existing, schedule.zone)):
            existing += _MINUTE
        yield f"{local:%Y-%m-%dT%H:%M}", instants[0]


def _real_times(schedule: Cron, day: date) -> Iterator[tuple[str, datetime]]:
    instants = {at for local in _local_times(schedule, day) for at in _instants(local, schedule.zone)}
    for at in sorted(instants):
        yield _utc_name(at), at


def _local_times(schedule: Cron, day: date) -> Iterator[datetime]:
    minutes, hours, *_ = schedule.fields
    for hour in sorted(hours):
        for minute in sorted(minutes):
            yield datetime.combine(day, time(hour, minute))


def _instants(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the instants (UTC) that a clock on the wall shows this time: none, one or two."""
    readings = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(at for at in readings if at.astimezone(zone).replace(tzinfo=None, fold=0) == local)


def _utc_name(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _values(word: str, name: str, low: int, high: int) -> frozenset[int]:
    return frozenset(value for item in word.split(",") for value in _span(item, name, low, high))


def _span(item: str, name: str, low: int, high: int) -> range:
    spread, slash, step = item.partition("/")
    first, dash, last = (str(low), "-", str(high)) if spread == "*" else spread.partition("-")
    numbers = [first, last if dash else (str(high) if slash else first), step if slash else "1"]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise CronError(f"cron field '{name}': '{item}' is not read; write numbers with , - / or *")
    start, end, stride = map(int, numbers)
    if not low <= start <= end <= high or stride < 1:
        raise CronError(f"cron field '{name}': '{item}' is outside {low}-{high} or goes backwards")
    return range(start, end + 1, stride)
