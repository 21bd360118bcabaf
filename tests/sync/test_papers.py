"""What people are told of what sync did: sendings, breaches and control rounds, read from a house that has worked."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date, timedelta
from io import StringIO

import pytest
from sqlalchemy import update

from hub.connectors.base import Accepted, Connector, OutcomeUnknown, Outgoing, Refused
from hub.operate.breach import HEAD, Reach, breach_csv, reach
from hub.operate.control import UnknownUnit, logs_of_unit
from hub.operate.sendings import Basis, Outcome, Range, Sending, Sendings
from hub.relaylog.archiving import GOING_ON
from hub.relaylog.codes import Part, Service
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules
from hub.relaylog.sharing import Ceiling, Sharing
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.stories import kindergarten_goal_reached, shared_level_2
from hub.store.sealing import shred_log
from hub.store.tables import DeliveryState, deliveries, logs
from tests.sync.house import ARCHIVE, SAMSPILL, VIGILO, House

COMMON = frozenset({Part.EDUCATION, Part.HEALTH})


def _sendings(house: House) -> Sendings:
    tenant = house.tenant
    return Sendings(tenant.db, tenant.logs, tenant.connections, tenant.rules, tenant.today())


def _to(house: House, connection: str) -> list[Sending]:
    """Return what went from a connection's side of the hub, the first one first."""
    (log_id,) = {row.log_id for row in house.rows(logs)}
    return [one for one in _sendings(house).of_log(log_id) if one.connection == connection]


def _settled(house: House) -> None:
    """Let two systems share a child's log, and the kindergarten write something new an hour later."""

    def prepare() -> None:
        house.tell(shared_level_2)
        house.sync()
        _news(house, "Solskinn song på samlinga.")
        house.sync()

    house.once("papers", prepare)


def _news(house: House, text: str) -> None:
    house.time.after(hours=1)
    house.vigilo()["notat"][0]["tekst"] = text
    house.saved(house.vigilo())


def _so_far(house: House) -> list[Sending]:
    """Return what left on the day until now."""
    now = house.time.now()
    return _sendings(house).between(Range(now - timedelta(days=1), now + timedelta(microseconds=1)))


def test_a_sending_tells_who_reads_there_and_what_it_held(house: House) -> None:
    """Of the last one the view is kept; of an earlier one the consents tell what was opened at most."""
    _settled(house)
    first, last = _to(house, SAMSPILL)
    assert first.readers == last.readers == {Service.FAMILY, Service.HEALTH_STATION}
    assert first.outcome is last.outcome is Outcome.RECEIVED
    assert (first.basis, last.basis) == (Basis.AT_MOST, Basis.KEPT)
    assert first.parts == first.opened == last.opened
    assert first.parts >= COMMON
    assert last.parts == last.opened - {Part.HEALTH}  # what the health station wrote did not go to itself
    assert last.persons == 3
    assert {one.readers for one in _to(house, VIGILO)} == {frozenset({Service.KINDERGARTEN})}


def test_a_view_that_may_have_been_narrowed_is_not_taken_for_what_was_sent(house: House) -> None:
    """After the municipality has closed a part to readers, the older sending is told by its own day's rules."""
    _settled(house)
    day = house.tenant.today() + timedelta(days=1)
    narrow = Rules(Sharing(parts={Part.EDUCATION: Ceiling()}), ConsentPolicy())

    def rules(on: date) -> Rules:
        return narrow if on >= day else house.tenant.rules(on)

    tenant = house.tenant
    (log_id,) = {row.log_id for row in house.rows(logs)}
    found = Sendings(tenant.db, tenant.logs, tenant.connections, rules, day).of_log(log_id)
    assert {one.basis for one in found} == {Basis.AT_MOST}
    assert all(one.parts >= COMMON for one in found)


def test_a_lost_answer_counts_as_reached_and_a_refusal_is_told(house: House) -> None:
    """Bytes left in both: of the first nobody knows whether they arrived, the second was not taken in."""

    def lost(_real: Connector, _outgoing: Outgoing) -> Accepted:
        raise OutcomeUnknown("connection_lost", "the answer to a change was lost", "The hub looks it up")

    def refused(_real: Connector, _outgoing: Outgoing) -> Accepted:
        raise Refused("refused", "the system refused the change", "Look at it")

    _settled(house)
    for how, outcome in ((lost, Outcome.UNCERTAIN), (refused, Outcome.REFUSED)):
        house.detours[SAMSPILL].update_by = how
        _news(house, f"Noe nytt om {outcome}.")
        house.pull(VIGILO)
        house.cycle.route()
        house.deliver()
        assert _to(house, SAMSPILL)[-1].outcome is outcome
        with house.db.write() as tx:  # the next one is of another kind
            tx.execute(update(deliveries).where(deliveries.c.done_at.is_(None)).values(state=DeliveryState.SUPERSEDED))


def test_the_archive_got_the_whole_log(house: House) -> None:
    """A closed log went to the archive, with all its parts and to no reader."""
    house.tell(kindergarten_goal_reached)
    house.sync()
    house.archive()
    (sending,) = _to(house, ARCHIVE)
    assert (sending.basis, sending.readers) == (Basis.WHOLE, frozenset())
    assert Part.EDUCATION in sending.parts


def test_what_is_shredded_or_no_longer_configured_is_not_known(house: House) -> None:
    """The sending stays counted; its readers and parts are gone, and that is what is said."""
    _settled(house)
    tenant = house.tenant
    (log_id,) = {row.log_id for row in house.rows(logs)}
    gone = Sendings(tenant.db, tenant.logs, {}, tenant.rules, tenant.today()).of_log(log_id)
    with house.db.write() as tx:
        shred_log(tx, MUNICIPALITY_ORGNR, log_id)
    shredded = _sendings(house).of_log(log_id)
    for one in (*gone, *shredded):
        assert (one.basis, one.parts, one.persons) == (Basis.UNKNOWN, frozenset(), 0)
    assert len(gone) == len(shredded) == len(house.rows(deliveries))


def test_a_breach_is_bound_by_its_period_and_connection(house: House) -> None:
    """What left or was received in it is found, at its edges too; what came before or after is not."""
    _settled(house)
    found, every = _sendings(house), _so_far(house)
    assert {one.connection for one in every} == {VIGILO, SAMSPILL}
    at = every[0].at
    assert every[0] in found.between(Range(at, at + timedelta(microseconds=1)))
    assert every[0] not in found.between(Range(at - timedelta(days=1), at - timedelta(seconds=1)))  # it left after
    later = found.between(Range(at + timedelta(minutes=1), house.time.now() + timedelta(seconds=1)), SAMSPILL)
    assert later == _to(house, SAMSPILL)[1:]


def test_a_breach_counts_logs_children_and_persons(house: House) -> None:
    """Several sendings of a log count its persons once; a child in two logs is one child."""
    _settled(house)
    found = _so_far(house)
    assert reach(found) == Reach(sendings=len(found), logs=1, children=1, persons=3, unknown=0)
    of_another = replace(found[0], log_id="another", persons=0)
    assert reach([*found, of_another]) == Reach(len(found) + 1, logs=2, children=1, persons=3, unknown=1)


def test_a_breach_as_csv_has_ids_and_codes_alone(house: House) -> None:
    """Whoever reports it gets one row for each sending, and no name."""
    _settled(house)
    made = breach_csv(_so_far(house)).decode("utf-8-sig")
    rows = list(csv.DictReader(StringIO(made), delimiter=";"))
    assert tuple(rows[0]) == HEAD
    assert {row["readers"] for row in rows} == {"kindergarten", "family health_station"}
    log = house.log_of("vl-000001").log
    for name in (log.subject.name, *(guardian.name for guardian in log.guardians)):
        assert name not in made
    assert log.subject.national_id not in made


def test_a_unit_is_found_by_any_of_its_names(house: House) -> None:
    """Its id in a system, its organisation number and its name lead to the same open logs; another name to none."""
    house.tell(shared_level_2, kindergarten_goal_reached)
    house.sync()
    open_ones = [row for row in house.rows(logs) if row.status in GOING_ON]
    log = house.log_of("vl-000001").log
    for name in filter(None, (log.unit.id, log.unit.name, log.unit.organisation_number)):
        found = logs_of_unit(house.db, house.tenant.logs, [name])
        assert [each.id for each in found.open] == [row.log_id for row in open_ones]
    with pytest.raises(UnknownUnit, match=log.unit.id):
        logs_of_unit(house.db, house.tenant.logs, ["no such unit"])
