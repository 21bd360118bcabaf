"""Occurrences: the same on every machine, each once, and right on the days when the clocks change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.engine.occurrences import Busy, Cron, CronError, Every, Missed, Plan, Timing, occurrences, plan

OSLO = ZoneInfo("Europe/Oslo")
VIGILO = "100000008/vigilo"  # a made-up municipality
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_INSTANTS = st.integers(0, 2 * 365 * 24 * 60).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + n * timedelta(minutes=1))


def test_a_fixed_time_is_named_by_the_clock_on_the_wall() -> None:
    """05:15 in Oslo is 03:15 UTC in summer and 04:15 in winter, and the id holds local date and time."""
    assert _found(Cron("15 5 * * *", OSLO), _utc(10, 24), _utc(10, 26)) == [
        (f"{VIGILO}@2026-10-24T05:15", _utc(10, 24, 3, 15)),
        (f"{VIGILO}@2026-10-25T05:15", _utc(10, 25, 4, 15)),
    ]


def test_a_doubled_time_runs_once_in_october() -> None:
    """02:30 comes twice on 25 October 2026; the occurrence is the first of them, and there is no other."""
    assert _found(Cron("30 2 * * *", OSLO), _utc(10, 24, 12), _utc(10, 26)) == [
        (f"{VIGILO}@2026-10-25T02:30", _utc(10, 25, 0, 30))
    ]


def test_a_skipped_time_runs_once_in_march() -> None:
    """There is no 02:30 on 29 March 2026; it runs at 03:00, the moment that follows, under its own name."""
    assert _found(Cron("30 2 * * *", OSLO), _utc(3, 28, 12), _utc(3, 30)) == [
        (f"{VIGILO}@2026-03-29T02:30", _utc(3, 29, 1, 0))
    ]


def test_several_skipped_times_keep_their_names_and_order() -> None:
    """Two times in the skipped hour and the one after it are three occurrences, none before 03:00."""
    found = _found(Cron("0,30 2-3 * * *", OSLO), _utc(3, 29), _utc(3, 29, 12))
    assert [name.partition("@")[2] for name, _ in found] == [
        f"2026-03-29T{clock}" for clock in ("02:00", "02:30", "03:00", "03:30")
    ]
    assert [at for _, at in found] == [_utc(3, 29, 1)] * 3 + [_utc(3, 29, 1, 30)]


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 29, 23), (10, 25, 25), (6, 1, 24)])
def test_an_hourly_cron_follows_real_time(month: int, day: int, hours: int) -> None:
    """Every hour at :15 fires 23 times in March, 25 in October, an hour apart, and is named by UTC."""
    start = datetime(2026, month, day, tzinfo=OSLO).astimezone(UTC)
    end = (datetime(2026, month, day, tzinfo=OSLO) + DAY).astimezone(UTC)
    found = _found(Cron("15 * * * *", OSLO), start, end)
    assert [at for _, at in found] == [start + timedelta(minutes=15) + n * HOUR for n in range(hours)]
    assert found[0][0] == f"{VIGILO}@{found[0][1]:%Y-%m-%dT%H:15:00Z}"


@given(_INSTANTS, st.integers(1, 72), st.sampled_from(["30 2 * * *", "*/20 1-3 * * *", "7 * * * *", "0 0 1 * 1"]))
def test_cutting_time_into_pieces_changes_nothing(start: datetime, hours: int, text: str) -> None:
    """What two neighbouring windows give is what one window gives: nothing twice, nothing lost, in order."""
    cron, middle, end = Cron(text, OSLO), start + hours * HOUR, start + 9 * DAY
    whole = _found(cron, start, end)
    assert _found(cron, start, middle) + _found(cron, middle, end) == whole
    assert len({name for name, _ in whole}) == len(whole)
    assert [at for _, at in whole] == sorted(at for _, at in whole)


@given(_INSTANTS)
def test_a_daily_time_comes_once_on_every_day(start: datetime) -> None:
    """Each local date has its 02:30 exactly once, whatever the clocks do."""
    names = [name for name, _ in _found(Cron("30 2 * * *", OSLO), start, start + 40 * DAY)]
    days = [date.fromisoformat(name.partition("@")[2][:10]) for name in names]
    assert days == [days[0] + n * DAY for n in range(len(days))]
    assert len(days) in (39, 40, 41)


def test_an_interval_counts_from_its_anchor() -> None:
    """Every 90 minutes from a fixed instant, whenever one starts to look, before the anchor, too, named by UTC."""
    every = Every(timedelta(minutes=90), anchor=datetime(2026, 10, 25, 1, tzinfo=OSLO))
    expected = [
        (f"{VIGILO}@2026-10-25T00:30:00Z", _utc(10, 25, 0, 30)),
        (f"{VIGILO}@2026-10-25T02:00:00Z", _utc(10, 25, 2, 0)),
    ]
    assert _found(every, _utc(10, 24, 23, 1), _utc(10, 25, 2)) == expected
    assert _found(every, _utc(10, 24), _utc(10, 25, 2)) == [
        (f"{VIGILO}@2026-10-24T23:00:00Z", _utc(10, 24, 23)),
        *expected,
    ]


def test_jitter_is_fixed_and_no_part_of_the_id() -> None:
    """A connection starts its own fixed time later, less than the jitter; the id and the plan stay the same."""
    window = (_utc(6, 1), _utc(6, 4))
    plain = list(occurrences(VIGILO, Timing(Cron("0 3 * * *", OSLO)), *window))
    spread = Timing(Cron("0 3 * * *", OSLO), jitter=HOUR)
    late = list(occurrences(VIGILO, spread, *window))
    assert [(each.id, each.planned_at) for each in late] == [(each.id, each.planned_at) for each in plain]
    assert len({each.starts_at - each.planned_at for each in late}) == 1
    starts = [next(occurrences(f"c{n}", spread, *window)).starts_at - plain[0].planned_at for n in range(50)]
    assert all(timedelta(0) <= start < HOUR for start in starts)
    assert len(set(starts)) > 40


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 3 1,15 * *", ["06-01", "06-15"]),
        ("0 3 */10 6 *", ["06-01", "06-11", "06-21"]),
        ("0 3 * * 0", ["06-07", "06-14", "06-21", "06-28"]),
        ("0 3 * * 7", ["06-07", "06-14", "06-21", "06-28"]),
        ("0 3 29-31 6 *", ["06-29", "06-30"]),
        ("0 3 10 * 1/3", ["06-01", "06-04", "06-07", "06-08", "06-10", "06-11", "06-14", "06-15", "06-18", "06-21"]),
    ],
)
def test_days_are_read_as_crontab_reads_them(text: str, days: list[str]) -> None:
    """Lists, ranges, steps, Sunday as 0 and 7; of two restricted days either is enough. June 2026 began on a Monday."""
    found = _found(Cron(text, OSLO), _utc(5, 31, 12), _utc(6, 30, 12))
    assert [name.partition("@2026-")[2][:5] for name, _ in found][: len(days)] == days
    assert len(found) == len(days) or len(days) == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("15 5 * *", "has 4 fields; write five"),
        ("60 5 * * *", "'minute': '60' is outside 0-59"),
        ("0 24 * * *", "'hour': '24' is outside 0-23"),
        ("0 5 0 * *", "'day of month': '0' is outside 1-31"),
        ("0 5 * 5-3 *", "'month': '5-3' is outside 1-12 or goes backwards"),
        ("0 5 * * mon", "'day of week': 'mon' is not read"),
        ("*/0 5 * * *", "'minute': '\\*/0' is outside"),
        ("0 5,, * * *", "'hour': '' is not read"),
        ("0 1-2-3 * * *", "'hour': '1-2-3' is not read"),
        ("٣ 5 * * *", "'minute': '٣' is not read"),
    ],
)
def test_a_wrong_cron_says_where_and_what(text: str, said: str) -> None:
    """A cron that cannot be read is refused when it is made, with field, finding and remedy."""
    with pytest.raises(CronError, match=said):
        Cron(text, OSLO)


@pytest.mark.parametrize(("step", "zone"), [(timedelta(0), UTC), (HOUR, None)])
def test_an_interval_without_end_or_zone_is_refused(step: timedelta, zone: timezone | None) -> None:
    """No step below a second, and no anchor without a zone."""
    with pytest.raises(ValueError, match="at least one second"):
        Every(step, datetime(2026, 1, 1, tzinfo=zone))


def test_nothing_due_is_no_plan() -> None:
    """Between two occurrences nothing runs and nothing is missed."""
    assert plan(VIGILO, _daily(), _utc(6, 1, 1), _utc(6, 2), busy=None) == Plan((), ())


@pytest.mark.parametrize(
    ("catch_up", "run", "missed", "why"),
    [
        ("none", "4", "2 3", "late"),
        ("latest", "4", "2 3", "superseded"),
        ("all", "2 3 4", "", ""),
    ],
)
def test_catching_up(catch_up: str, run: str, missed: str, why: str) -> None:
    """After three days' silence: those in time, the latest alone, or all; what does not run is missed by name."""
    found = plan(VIGILO, _daily(catch_up=catch_up), _utc(6, 1, 1), _utc(6, 4, 1, 5), busy=None)
    assert " ".join(str(each.planned_at.day) for each in found.run) == run
    assert " ".join(str(each.occurrence.planned_at.day) for each in found.missed) == missed
    assert {each.why for each in found.missed} == ({why} if why else set())


@pytest.mark.parametrize(("grace", "why"), [(10, ["late"]), (11, [])])
def test_a_late_one_is_missed_where_nothing_is_caught_up(grace: int, why: list[str]) -> None:
    """With `none`, an occurrence noticed later than the grace does not run; with `latest` it does."""
    since, now = _utc(6, 1, 1), _utc(6, 2, 1, 11)
    none, latest = (
        replace(_daily(catch_up=policy), misfire_grace=timedelta(minutes=grace)) for policy in ("none", "latest")
    )
    assert [each.why for each in plan(VIGILO, none, since, now, busy=None).missed] == why
    assert len(plan(VIGILO, latest, since, now, busy=None).run) == 1


def test_of_several_in_time_the_latest_runs() -> None:
    """Five of an interval of a minute, noticed together and all within the grace, are one reading."""
    timing = Timing(Every(timedelta(minutes=1)), catch_up="none")
    found = plan(VIGILO, timing, _utc(6, 1, 8), _utc(6, 1, 8, 5), busy=None)
    assert [each.planned_at for each in found.run] == [_utc(6, 1, 8, 5)]
    assert [each.why for each in found.missed] == ["superseded"] * 4


@pytest.mark.parametrize(
    ("overlap", "busy", "runs"),
    [("wait", None, 1), ("wait", "runs", 1), ("wait", "waits", 0), ("skip", None, 1), ("skip", "runs", 0),
     ("skip", "waits", 0)],
)  # fmt: skip
@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
def test_overlap_waits_or_skips(overlap: str, busy: Busy | None, runs: int, catch_up: str) -> None:
    """While the last run runs, the next waits in line or is missed with that reason; behind one that waits, none is."""
    timing = _daily(overlap=overlap, catch_up=catch_up)
    found = plan(VIGILO, timing, _utc(6, 1, 1), _utc(6, 2, 1), busy=busy)
    assert len(found.run) == runs
    assert [each.why for each in found.missed] == ["overlap"] * (1 - runs)
    assert all(isinstance(each, Missed) for each in found.missed)


def test_what_is_late_and_overlaps_is_late_where_nothing_is_caught_up() -> None:
    """Of those that pass while a run waits, the ones that would not have run anyway say why."""
    found = plan(VIGILO, _daily(catch_up="none"), _utc(6, 1, 1), _utc(6, 3, 1, 5), busy="waits")
    assert (found.run, [each.why for each in found.missed]) == ((), ["late", "overlap"])


def test_a_plan_waits_for_the_start_with_jitter() -> None:
    """An occurrence is due at its own start, not at the planned time before it."""
    timing = Timing(Cron("0 3 * * *", OSLO), jitter=HOUR)
    (due,) = occurrences(VIGILO, timing, _utc(6, 1, 2), _utc(6, 2, 2))
    assert due.starts_at > due.planned_at
    before = due.starts_at - timedelta(seconds=1)
    assert plan(VIGILO, timing, _utc(6, 1, 2), before, busy=None).run == ()
    assert plan(VIGILO, timing, _utc(6, 1, 2), due.starts_at, busy=None).run == (due,)


def _utc(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def _found(schedule: Cron | Every, after: datetime, until: datetime) -> list[tuple[str, datetime]]:
    return [(each.id, each.planned_at) for each in occurrences(VIGILO, Timing(schedule), after, until)]


def _daily(**settings: str) -> Timing:
    return Timing(Cron("0 3 * * *", OSLO), **settings)  # type: ignore[arg-type]
