"""The rows behind the real local engine: an occurrence runs once, and what a dead worker left is taken up again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier, Event, Lock, Thread

import pytest
from sqlalchemy import update

from hub.connectors.base import Accepted, Connector, Outgoing, Page, Unavailable
from hub.engine.local import LocalEngine
from hub.engine.occurrences import Busy, Cron, Every, Timing, plan
from hub.engine.port import Task
from hub.engine.ticker import Ticker
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.stories import kindergarten_goal_reached, ordinary_kindergarten, shared_level_2
from hub.service.schedule import COUNT
from hub.store.connections import ConnectionState, GateRules
from hub.store.database import Database, open_database
from hub.store.decisions import Who
from hub.store.events import Action
from hub.store.leases import DELIVERIES, LEASE, RUNS, Work, claim
from hub.store.tables import DeliveryKind, DeliveryState, RunState, archived, deliveries, events, records, runs
from hub.sync.context import OSLO
from hub.sync.deliver import Deliverer, Outcome
from hub.sync.gate import RowGate, pause, resume
from hub.sync.heartbeat import Heartbeat
from hub.sync.pull import RUN_PAUSES
from hub.sync.replay import replay_delivery
from hub.sync.rows import LEFT_PAUSES, ROUTE, SyncRows, count_of, free_all
from tests.sync.house import MORNING, SAMSPILL, VIGILO, House

QUARTER = Timing(Every(timedelta(minutes=15)), catch_up="all")
GOING_ON = Event()


@pytest.fixture
def rows(house: House, db: Database) -> SyncRows:
    return _rows(house, db, "worker-1")


@pytest.fixture
def other_db(path: Path, db: Database) -> Iterator[Database]:
    """A second process's way to the same database."""
    del db  # first the one that the house has
    other = open_database(f"sqlite:///{path}")
    yield other
    other.close()


def _rows(house: House, db: Database, owner: str) -> SyncRows:
    return SyncRows(db, {MUNICIPALITY_ORGNR: house.tenant}, owner)


def _booked(house: House, rows: SyncRows, name: str = VIGILO, timing: Timing = QUARTER, **after: float) -> list[Task]:
    """Book what fell due since the morning."""
    since = rows.planned_until(name) or MORNING
    now = house.time.now() + timedelta(**after)
    return list(rows.book(name, plan(name, timing, since, now, busy=rows.busy(name))))


# --- occurrences -------------------------------------------------------------------------------------------------


def test_an_occurrence_is_booked_once_by_two_processes(house: House, rows: SyncRows, other_db: Database) -> None:
    """Only who made the row hears of it; the other has nothing to do."""
    other = _rows(house, other_db, "worker-2")
    due = plan(VIGILO, QUARTER, MORNING, MORNING + timedelta(minutes=45), busy=None)
    made: list[Task] = []
    together, lock = Barrier(2), Lock()

    def book(one: SyncRows) -> None:
        together.wait()
        mine = list(one.book(VIGILO, due))
        with lock:
            made.extend(mine)

    threads = [Thread(target=book, args=(one,)) for one in (rows, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len({task.row_id for task in made}) == 3
    assert [row.planned_at for row in house.rows(runs)] == [each.planned_at for each in due.run]


def test_two_engines_on_one_database_run_each_occurrence_once(house: House, db: Database, other_db: Database) -> None:
    """Two processes with clock and workers: four runs of two connections, each listing read once for each run."""
    house.tell(shared_level_2)
    listed = _counted(house)
    engines = [
        LocalEngine(_rows(house, one, owner), {VIGILO: QUARTER, SAMSPILL: QUARTER}, clock=house.time.now, workers=2)
        for one, owner in ((db, "process-1"), (other_db, "process-2"))
    ]
    house.time.after(minutes=30)
    for engine in engines:
        engine.start()
    try:
        _wait(lambda: [row.state for row in house.rows(runs)] == [RunState.DONE] * 4 or _sweep(engines))
    finally:
        for engine in engines:
            engine.stop()
    assert sorted(listed) == sorted([VIGILO, SAMSPILL] * 2)
    assert [row.attempts for row in house.rows(runs)] == [1] * 4
    assert len({row.occurrence for row in house.rows(runs)}) == 4
    keys = [entry.idempotency_key for entry in house.world.received]
    assert len(keys) == len(set(keys))
    assert len(house.rows(records)) == 2


def _counted(house: House) -> list[str]:
    """Write down every listing that is read."""
    listed: list[str] = []

    def count(name: str) -> Callable[[Connector], Iterator[Page]]:
        def pages(real: Connector) -> Iterator[Page]:
            listed.append(name)
            return real.pages()

        return pages

    for name, detour in house.detours.items():
        detour.pages_by = count(name)
    return listed


def _sweep(engines: list[LocalEngine]) -> bool:
    """Do now what each engine does every minute: a run that met another of its connection is taken up again."""
    for engine in engines:
        engine.sweep()
    return False


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.1)


def test_what_was_missed_is_written_down_with_its_reason(house: House, rows: SyncRows) -> None:
    """Of three occurrences that passed unnoticed the latest runs, and the others stand as missed."""
    latest = replace(QUARTER, catch_up="latest")
    due = plan(VIGILO, latest, MORNING, MORNING + timedelta(minutes=45), busy=None)
    assert len(list(rows.book(VIGILO, due))) == 1
    found = sorted((row.planned_at, row.state, row.outcome) for row in house.rows(runs))
    assert [(state, outcome) for _, state, outcome in found] == [
        (RunState.MISSED, "superseded"),
        (RunState.MISSED, "superseded"),
        (RunState.QUEUED, None),
    ]
    assert list(rows.book(VIGILO, due)) == []
    assert len(house.rows(runs)) == 3


def test_the_newest_occurrence_is_remembered(house: House, rows: SyncRows) -> None:
    """Run or missed, it is where the next look begins; what a person started does not count."""
    assert rows.planned_until(VIGILO) is None
    house.pull(VIGILO)
    assert rows.planned_until(VIGILO) is None
    _booked(house, rows, minutes=30)
    assert rows.planned_until(VIGILO) == MORNING + timedelta(minutes=30)
    assert rows.planned_until(SAMSPILL) is None


@pytest.mark.parametrize("done", [True, False])
def test_a_clock_that_was_ahead_silences_no_schedule(house: House, rows: SyncRows, *, done: bool) -> None:
    """What it booked and missed two days early counts for nothing when the time comes, whether the last ran or not."""
    hourly = Timing(Every(timedelta(hours=1)), catch_up="latest")
    house.time.after(days=2)
    (early,) = _booked(house, rows, timing=hourly)
    if done:
        rows.work(early, GOING_ON)
    house.time.after(days=-2)
    for _ in range(3):
        house.time.after(hours=1)
        since = rows.planned_until(VIGILO) or MORNING
        made = list(rows.book(VIGILO, plan(VIGILO, hourly, since, house.time.now(), busy=rows.busy(VIGILO))))
        waiting = [task for task in rows.sweep(house.time.now()) if task.kind == RUNS.kind]
        assert len(waiting) == 1
        assert made in ([], waiting)
        rows.work(waiting[0], GOING_ON)
        assert rows.planned_until(VIGILO) == house.time.now()
    assert [row.state for row in house.rows(runs) if row.planned_at <= house.time.now()].count(RunState.DONE) >= 2


def test_a_schedule_is_busy_while_a_run_waits_or_runs(house: House, rows: SyncRows) -> None:
    """Queued and running are busy, done is not, and runs of another connection or another schedule do not count."""
    (task,) = _booked(house, rows, minutes=15)
    assert rows.busy(VIGILO) == "waits"
    assert rows.busy(SAMSPILL) is None
    assert rows.busy(count_of(VIGILO)) is None
    busy: list[Busy | None] = []

    def look(real: Connector) -> Iterator[Page]:
        busy.append(rows.busy(VIGILO))
        return real.pages()

    house.detours[VIGILO].pages_by = look
    rows.work(task, GOING_ON)
    assert busy == ["runs"]
    assert rows.busy(VIGILO) is None


@pytest.mark.parametrize("count_first", [True, False])
def test_what_the_count_missed_is_not_the_pulls(house: House, rows: SyncRows, *, count_first: bool) -> None:
    """Down from Saturday to Wednesday: Monday's reading is caught up with, whichever schedule is booked first."""
    schedules = {VIGILO: Timing(Cron("30 3 * * 1", OSLO)), count_of(VIGILO): COUNT}
    house.time.after(days=4)
    for name in sorted(schedules, key=len, reverse=count_first):
        _booked(house, rows, name, schedules[name])
    found = sorted((row.planned_at.day, row.why, row.state) for row in house.rows(runs))
    assert found == [
        (22, "reconcile", RunState.MISSED),
        (23, "catch_up", RunState.QUEUED),
        (23, "reconcile", RunState.MISSED),
        (24, "reconcile", RunState.MISSED),
        (25, "reconcile", RunState.QUEUED),
    ]


# --- one that waits ----------------------------------------------------------------------------------------------


def test_a_pause_leaves_one_run_that_waits(house: House, rows: SyncRows) -> None:
    """Of twenty intervals in it one waits and nineteen are missed, with the reason; resuming lists the system once."""
    house.tell(ordinary_kindergarten)
    listed = _gated(house)
    pause(house.tenant, VIGILO, "kari.it")
    line = Ticker(rows, {VIGILO: Timing(QUARTER.schedule)}, house.time.now, lambda _kind, _row_id: None)
    for _ in range(20):
        house.time.after(minutes=15)
        line.tick(VIGILO)
        _work_all(house, rows)
    assert listed == []
    waiting, *missed = sorted(house.rows(runs), key=lambda row: row.planned_at)
    assert (waiting.state, waiting.error_class, waiting.attempts) == (RunState.QUEUED, "paused", 0)
    assert [(row.state, row.outcome) for row in missed] == [(RunState.MISSED, "overlap")] * 19
    told = house.rows(events, action=str(Action.RUN_MISSED))
    assert {event.subject_id for event in told} == {row.run_id for row in missed}
    resume(house.tenant, VIGILO, "kari.it")
    _work_all(house, rows)
    assert listed == [VIGILO]
    assert [row.state for row in house.rows(runs, run_id=waiting.run_id)] == [RunState.DONE]
    assert rows.busy(VIGILO) is None


def test_a_system_that_asked_for_peace_keeps_one_run_waiting(house: House, rows: SyncRows) -> None:
    """No occurrence that comes meanwhile makes the run due sooner, and it is one listing when the time has passed."""
    house.tell(ordinary_kindergarten)
    listed = _gated(house)
    with house.db.write() as tx:
        state = ConnectionState(MUNICIPALITY_ORGNR, VIGILO)
        state.park(tx, MORNING + timedelta(hours=2), "http_429", MORNING)
    for _ in range(7):
        house.time.after(minutes=15)
        _booked(house, rows)
        _work_all(house, rows)
    waiting, *missed = sorted(house.rows(runs), key=lambda row: row.planned_at)
    assert (waiting.state, waiting.error_class, waiting.due_at) == (
        RunState.QUEUED,
        "parked",
        MORNING + timedelta(hours=2),
    )
    assert {(row.state, row.outcome) for row in missed} == {(RunState.MISSED, "overlap")}
    assert listed == []
    assert len(house.rows(events, action=str(Action.RUN_PUT_OFF))) == 1
    house.time.after(minutes=15)
    _work_all(house, rows)
    assert listed == [VIGILO]


def test_a_run_that_was_put_off_tries_at_the_schedules_next_time(house: House, rows: SyncRows) -> None:
    """A system that was away is read at the next interval, not when the longest pause between attempts ends."""
    house.tell(ordinary_kindergarten)

    def away(_real: Connector) -> Iterator[Page]:
        raise Unavailable("connection_refused", "the system does not answer", "Look whether it runs")

    house.detours[VIGILO].pages_by = away
    house.time.after(minutes=15)
    _booked(house, rows)
    _work_all(house, rows)
    for pause_ in RUN_PAUSES[:-1]:
        house.time.at += pause_
        _work_all(house, rows)
    (run,) = house.rows(runs)
    assert (run.attempts, run.due_at) == (4, house.time.now() + RUN_PAUSES[-1])
    house.detours[VIGILO].pages_by = None
    house.time.after(minutes=9)
    _booked(house, rows, timing=replace(QUARTER, catch_up="latest"))
    _work_all(house, rows)
    assert [row.state for row in house.rows(runs, run_id=run.run_id)] == [RunState.DONE]
    assert {(row.state, row.outcome) for row in house.rows(runs) if row.run_id != run.run_id} == {
        (RunState.MISSED, "overlap")
    }


def _gated(house: House) -> list[str]:
    """Have each listing pass the gate first, as real connectors do, and write down those that are read."""
    listed: list[str] = []
    gate = RowGate(house.db, ConnectionState(MUNICIPALITY_ORGNR, VIGILO), GateRules(), house.time.clock())

    def pages(real: Connector) -> Iterator[Page]:
        gate.enter()
        listed.append(VIGILO)
        return real.pages()

    house.detours[VIGILO].pages_by = pages
    return listed


def _work_all(house: House, rows: SyncRows) -> None:
    """Do what a sweep finds due."""
    for task in rows.sweep(house.time.now()):
        rows.work(task, GOING_ON)


# --- work --------------------------------------------------------------------------------------------------------


def test_a_run_takes_its_logs_the_whole_way(house: House, rows: SyncRows) -> None:
    """What a run pulls is routed, delivered and archived by the worker that ran it."""
    house.tell(shared_level_2, kindergarten_goal_reached)
    for connection in (SAMSPILL, VIGILO):
        (task,) = _booked(house, rows, connection, minutes=15)
        rows.work(task, GOING_ON)
    assert {"vl-000001", "P-10001"} <= set(house.received())
    assert len(house.rows(archived)) == 1
    assert {row.state for row in house.rows(deliveries)} <= {DeliveryState.DONE, DeliveryState.SUPERSEDED}


def test_the_same_run_twice_is_done_once(house: House, rows: SyncRows) -> None:
    """A message that comes twice finds the row done."""
    house.tell(ordinary_kindergarten)
    listed = _counted(house)
    (task,) = _booked(house, rows, minutes=15)
    rows.work(task, GOING_ON)
    rows.work(task, GOING_ON)
    assert listed == [VIGILO]


def test_a_worker_that_is_told_to_stop_sends_nothing_more(house: House, rows: SyncRows) -> None:
    """The listing that was begun is stored; what it leads to waits in the rows for the next start."""
    house.tell(shared_level_2)
    house.pull(SAMSPILL)
    stopping = Event()
    stopping.set()
    (task,) = _booked(house, rows, minutes=15)
    rows.work(task, stopping)
    assert len(house.rows(records)) == 2
    assert house.received() == []
    house.cycle.route()
    due = list(rows.sweep(house.time.now()))
    assert {each.kind for each in due} == {"delivery"}
    for each in due:
        rows.work(each, GOING_ON)
    assert {row.state for row in house.rows(deliveries)} == {DeliveryState.DONE}


def test_a_due_delivery_is_work_of_its_own(house: House, rows: SyncRows) -> None:
    """The sweep names changes and packages alike, and each is handed to who delivers it."""
    house.tell(kindergarten_goal_reached)
    house.archive_folder.rmdir()
    house.sync()
    house.archive_folder.mkdir()
    assert list(rows.sweep(house.time.now())) == []
    house.time.after(minutes=15)
    (task,) = rows.sweep(house.time.now())
    rows.work(task, GOING_ON)
    (row,) = house.rows(deliveries, kind=DeliveryKind.ARCHIVE)
    assert (row.delivery_id, row.state) == (task.row_id, DeliveryState.DONE)


def test_the_run_of_a_dead_worker_is_freed_and_done(house: House, rows: SyncRows) -> None:
    """After its lease the run is queued again, an event says so, and the next worker does all of it."""
    house.tell(ordinary_kindergarten)
    (task,) = _booked(house, rows, minutes=15)
    now = house.time.now()
    with house.db.write() as tx:
        assert claim(tx, RUNS, task.row_id, "dead", now, now + LEASE)
    assert list(rows.sweep(now)) == []
    house.time.at += LEASE
    assert list(rows.sweep(house.time.now())) == [task]
    assert [row.subject_id for row in house.rows(events, action=str(Action.RUN_FREED))] == [task.row_id]
    rows.work(task, GOING_ON)
    (run,) = house.rows(runs)
    assert (run.state, run.attempts, run.counts["read"]) == (RunState.DONE, 2, 1)


def test_a_freed_delivery_leaves_an_event_too(house: House, rows: SyncRows, db: Database) -> None:
    """That a sending was interrupted stands in the log of events."""
    other = _rows(house, db, "worker-2")
    house.tell(shared_level_2)

    def sleep(real: Connector, outgoing: Outgoing) -> Accepted:
        house.detours[VIGILO].update_by = None
        accepted = real.update(outgoing)
        house.time.at += LEASE
        other.sweep(house.time.now())
        return accepted

    house.detours[VIGILO].update_by = sleep
    house.pull(SAMSPILL)
    house.pull(VIGILO)
    house.cycle.route()
    (row,) = house.rows(deliveries, connection=VIGILO)
    rows.work(Task("delivery", row.delivery_id), GOING_ON)
    (row,) = house.rows(deliveries, connection=VIGILO)
    assert row.state is DeliveryState.UNKNOWN
    freed = house.rows(events, action=str(Action.DELIVERY_FREED))
    assert [event.subject_id for event in freed] == [row.delivery_id]


def _die(house: House, work: Work, row_id: str) -> None:
    """Let a worker take a row as soon as it is due and stop there, and another free it."""
    (row,) = house.rows(work.table, **{work.id.name: row_id})
    house.time.at = max(house.time.now(), row.due_at)
    with house.db.write() as tx:
        assert claim(tx, work, row_id, "dead", house.time.now(), house.time.now() + LEASE)
    house.time.at += LEASE
    with house.db.write() as tx:
        free_all(tx, house.time.now())


def _waits(house: House, work: Work, row_id: str) -> timedelta:
    """Tell for how long a row is put off."""
    (row,) = house.rows(work.table, **{work.id.name: row_id})
    due_at: datetime = row.due_at
    return max(timedelta(), due_at - house.time.now())


def test_a_run_that_ends_each_of_its_workers_fails(house: House, rows: SyncRows) -> None:
    """The first death costs no time, more in the same place cost more and more, and the fifth ends the run."""
    (task,) = _booked(house, rows, minutes=15)
    waited = []
    for _ in range(5):
        _die(house, RUNS, task.row_id)
        waited.append(_waits(house, RUNS, task.row_id))
    assert waited == [timedelta(), *LEFT_PAUSES, timedelta()]
    (run,) = house.rows(runs)
    assert (run.state, run.outcome, run.error_class) == (RunState.FAILED, "worker_died", "worker_died")
    assert run.ended_at == house.time.now()
    (told,) = house.rows(events, action=str(Action.RUN_FAILED))
    assert (told.subject_id, told.data) == (task.row_id, {"outcome": "worker_died"})
    assert rows.busy(VIGILO) is None  # the next begins anew


def test_a_run_that_gets_on_is_taken_up_however_often_its_workers_die(house: House, rows: SyncRows) -> None:
    """A long listing, or a machine that is started again and again: each page that is stored makes it a new place."""
    (task,) = _booked(house, rows, minutes=15)
    for number in range(20):
        _die(house, RUNS, task.row_id)
        assert _waits(house, RUNS, task.row_id) == timedelta()
        with house.db.write() as tx:
            house.tenant.work.note_page(tx, task.row_id, {"read": number + 1}, "")
    assert [run.state for run in house.rows(runs)] == [RunState.QUEUED]


def test_a_delivery_that_ends_each_of_its_workers_is_held(house: House) -> None:
    """It waits for a person, who may have it tried again; a whole run does not let it go."""
    house.tell(shared_level_2)
    house.pull(SAMSPILL)
    house.pull(VIGILO)
    house.cycle.route()
    (row,) = house.rows(deliveries, connection=VIGILO)
    for _ in range(5):
        assert house.states(VIGILO) == ["ready"]
        _die(house, DELIVERIES, row.delivery_id)
    house.pull(VIGILO)
    (row,) = house.rows(deliveries, connection=VIGILO)
    assert (row.state, row.error_class) == (DeliveryState.HELD, "worker_died")
    assert house.rows(events, action=str(Action.DELIVERY_HELD))[-1].data["error"] == "worker_died"
    replay_delivery(house.tenant, row.delivery_id, Who("ola", "Minnet er større nå."))
    house.deliver()
    assert house.states(VIGILO) == ["done"]


def test_an_attempt_between_makes_deaths_count_from_nought(house: House) -> None:
    """Where a worker came to try it, the row is not what ends them."""
    house.tell(shared_level_2)
    house.pull(SAMSPILL)
    house.pull(VIGILO)
    house.cycle.route()
    (row,) = house.rows(deliveries, connection=VIGILO)

    def refuse(_real: Connector, _outgoing: Outgoing) -> Accepted:
        raise Unavailable("http_503", "the system answered HTTP 503", "Try again")

    house.detours[VIGILO].update_by = refuse
    _die(house, DELIVERIES, row.delivery_id)
    _die(house, DELIVERIES, row.delivery_id)
    house.time.at += _waits(house, DELIVERIES, row.delivery_id)
    assert Deliverer(house.tenant, "worker-1").deliver(row.delivery_id) is Outcome.LATER
    _die(house, DELIVERIES, row.delivery_id)
    assert _waits(house, DELIVERIES, row.delivery_id) == timedelta()


def test_what_was_being_sent_stays_unknown_however_often_its_workers_die(house: House) -> None:
    """It may have arrived: to look it up is right, also the tenth time."""
    house.tell(shared_level_2)
    house.pull(SAMSPILL)
    house.pull(VIGILO)
    house.cycle.route()
    (row,) = house.rows(deliveries, connection=VIGILO)
    with house.db.write() as tx:
        house.tenant.work.mark_sending(tx, row.delivery_id, house.time.now())
        tx.execute(update(deliveries).values(state=DeliveryState.UNKNOWN))
    for _ in range(10):
        _die(house, DELIVERIES, row.delivery_id)
        assert _waits(house, DELIVERIES, row.delivery_id) == timedelta()
    assert house.states(VIGILO) == ["unknown"]


def test_a_run_that_met_another_of_its_connection_waits_its_turn(house: House, rows: SyncRows) -> None:
    """One at a time: the second stays queued, is due at the next sweep, and is done then."""
    house.tell(ordinary_kindergarten)
    first, second = _booked(house, rows, minutes=30)

    def meanwhile(real: Connector) -> Iterator[Page]:
        house.detours[VIGILO].pages_by = None
        rows.work(second, GOING_ON)
        assert list(rows.sweep(house.time.now())) == []
        return real.pages()

    house.detours[VIGILO].pages_by = meanwhile
    rows.work(first, GOING_ON)
    assert list(rows.sweep(house.time.now())) == [second]
    rows.work(second, GOING_ON)
    assert [row.state for row in house.rows(runs)] == [RunState.DONE] * 2


# --- kept alive --------------------------------------------------------------------------------------------------


def _stopped_while_sending(house: House, delivery_id: str, meanwhile: Callable[[], None]) -> Outcome:
    """Let worker-1 stand still between the receiver's answer and what it writes of it."""

    def stand(real: Connector, outgoing: Outgoing) -> Accepted:
        house.detours[SAMSPILL].update_by = None
        accepted = real.update(outgoing)
        meanwhile()
        return accepted

    house.detours[SAMSPILL].update_by = stand
    return Deliverer(house.tenant, "worker-1").deliver(delivery_id)


def _one_delivery(house: House) -> str:
    house.tell(shared_level_2)
    house.pull(SAMSPILL)
    house.pull(VIGILO)
    house.cycle.route()
    (row,) = house.rows(deliveries, connection=SAMSPILL)
    return str(row.delivery_id)


def test_what_a_stopped_worker_had_is_anothers_within_a_minute(house: House, db: Database) -> None:
    """Its last beat, a lease and a sweep later another does the work; what it writes when it wakes is refused."""
    delivery_id, other = _one_delivery(house), _rows(house, db, "worker-2")
    last_beat = house.time.now()

    def work_on() -> None:
        while house.rows(deliveries, delivery_id=delivery_id)[0].state is not DeliveryState.DONE:
            house.time.after(seconds=20)
            for task in other.sweep(house.time.now()):
                other.work(task, GOING_ON)

    assert _stopped_while_sending(house, delivery_id, work_on) is Outcome.TAKEN
    assert house.time.now() - last_beat < timedelta(minutes=1)
    assert house.received("samspill") == ["P-10001"]
    (row,) = house.rows(deliveries, delivery_id=delivery_id)
    assert row.receipt_ref.startswith("looked-up@")


def test_a_worker_that_only_waits_loses_nothing(house: House, db: Database) -> None:
    """An answer that takes minutes, with a heartbeat: the delivery stays its worker's and is done once."""
    delivery_id, other = _one_delivery(house), _rows(house, db, "worker-2")
    heart = Heartbeat(db, "worker-1", house.time.now)

    def wait() -> None:
        for _ in range(9):
            house.time.after(seconds=20)
            heart.beat()
            assert Task("delivery", delivery_id) not in list(other.sweep(house.time.now()))

    assert _stopped_while_sending(house, delivery_id, wait) is Outcome.SENT
    assert house.rows(deliveries, delivery_id=delivery_id)[0].attempts == 1


def test_a_sweep_keeps_its_own_first(house: House, rows: SyncRows) -> None:
    """A heartbeat that had to wait for the store does not cost a process what it is at work on."""
    delivery_id = _one_delivery(house)

    def late() -> None:
        house.time.after(minutes=5)
        rows.sweep(house.time.now())

    assert _stopped_while_sending(house, delivery_id, late) is Outcome.SENT


# --- what is no longer configured --------------------------------------------------------------------------------


def test_rows_of_what_was_removed_end_and_stop_nothing(house: House, rows: SyncRows, db: Database) -> None:
    """A run and a change of a tenant that is gone have failed, a package is held; the sweep names them no more."""
    house.tell(shared_level_2, kindergarten_goal_reached)
    house.archive_folder.rmdir()
    house.sync()
    house.vigilo()["notat"][0]["tekst"] = "Solskinn song."
    house.saved(house.vigilo())
    house.pull(VIGILO)
    house.cycle.route()
    _booked(house, rows, minutes=15)
    house.time.after(minutes=15)
    other = SyncRows(db, {"900001010": replace(house.tenant, organisation_number="900001010")}, "worker-2")
    due = list(other.sweep(house.time.now()))
    assert len(due) == 3
    for task in due:
        other.work(task, GOING_ON)
    assert list(other.sweep(house.time.now())) == []
    (run,) = house.rows(runs, error_class="not_configured")
    assert (run.state, run.outcome) == (RunState.FAILED, "not_configured")
    ended = house.rows(deliveries, error_class="not_configured")
    assert {(row.kind, row.state, row.sealed_payload is None) for row in ended} == {
        (DeliveryKind.UPDATE, DeliveryState.FAILED, True),
        (DeliveryKind.ARCHIVE, DeliveryState.HELD, False),
    }


def test_a_run_of_a_removed_connection_has_failed(house: House, rows: SyncRows, db: Database) -> None:
    """The tenant stands, its connection does not."""
    (task,) = _booked(house, rows, minutes=15)
    house.tenant = replace(house.tenant, connections={})
    _rows(house, db, "worker-1").work(task, GOING_ON)
    (run,) = house.rows(runs)
    assert (run.state, run.error_class) == (RunState.FAILED, "not_configured")


def test_what_started_a_run_stands_on_it(house: House, rows: SyncRows) -> None:
    """Booked in time it is the schedule, booked long after its start it is caught up with, by hand a person."""
    (task,) = _booked(house, rows, minutes=15)
    rows.work(task, GOING_ON)
    house.time.after(minutes=45)
    _booked(house, rows)
    house.pull(SAMSPILL)
    assert sorted(row.why for row in house.rows(runs)) == ["catch_up", "person", "schedule", "schedule"]


def test_a_log_that_was_left_unrouted_is_found_by_the_sweep(house: House, db: Database) -> None:
    """A worker died between reading a log and deciding what to send of it: a minute later another decides."""
    house.tell(shared_level_2)
    house.pull(SAMSPILL)
    house.pull(VIGILO)
    rows = _rows(house, db, "worker-2")
    assert list(rows.sweep(house.time.now())) == []
    house.time.after(minutes=1, seconds=1)
    (task,) = rows.sweep(house.time.now())
    assert task.kind == ROUTE
    rows.work(task, GOING_ON)
    assert {task.kind for task in rows.sweep(house.time.now())} == {DELIVERIES.kind}
