"""Control rounds: what a leader must look at in the open logs of a unit, found by pure checks over the logs.

Leaders control two or three times a year how measures are followed up and who holds (the leaders' routines of
Sogndal). What the model does not know, such as a holder's sick leave, the page says it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, select

from hub.documents.control import Check, ControlPage, Finding
from hub.documents.words import local_day
from hub.operate.unarchived import Unarchived, unarchived
from hub.relaylog.archiving import GOING_ON
from hub.relaylog.codes import (
    BatonAnswer,
    ConsentStatus,
    MeasureStatus,
    NoteKind,
    Part,
    Role,
    Service,
    SignerRole,
    SubjectKind,
)
from hub.relaylog.consent import comes_of_age
from hub.relaylog.model import Consent, Measure, OrgUnit, RelayLog
from hub.store.database import Database
from hub.store.logs import DONE_MEASURES, LogStore
from hub.store.sealing import SealError
from hub.store.tables import logs


class UnknownUnit(Exception):
    """No log that is controlled belongs to the unit. Names the units that have some."""


@dataclass(frozen=True)
class UnitLogs:
    """What is controlled of a unit: its open logs, and its closed ones that wait for an archive's proof."""

    open: tuple[RelayLog, ...]
    waiting: tuple[Unarchived, ...]


def logs_of_unit(db: Database, store: LogStore, names: Collection[str]) -> UnitLogs:
    """Return the logs to control of a unit, which goes by any of `names`: ids, organisation number, name.

    Systems have ids of their own for a unit; what else it is called is read from one log of each id. Raises
    UnknownUnit, and SealError for a damaged log.
    """
    c = logs.c
    with db.read() as tx:
        wanted = select(c.log_id, c.owning_unit_id).where(c.tenant == store.tenant, c.status.in_(GOING_ON))
        going_on = {row.log_id: row.owning_unit_id or "" for row in tx.execute(wanted.order_by(c.log_id))}
        waiting = {each.log_id: each for each in unarchived(tx, store.tenant)}
        units = {**{each.log_id: each.unit_id for each in waiting.values()}, **going_on}
        found, known = _of_unit(tx, store, units, names, waiting.keys())
        if not found:
            told = ", ".join(sorted(known)) or "none"
            raise UnknownUnit(f"No log to control belongs to this unit. Units with such logs: {told}")
        opened = store.load_all(tx, sorted(found & going_on.keys()))
        return UnitLogs(
            tuple(stored.log for stored in opened.values()),
            tuple(each for log_id, each in waiting.items() if log_id in found),
        )


def _of_unit(
    tx: Connection, store: LogStore, units: Mapping[str, str], names: Collection[str], closed: Collection[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return those of some logs, given with the ids of their units, that are of the unit; and the ids of all units."""
    by_unit: dict[str, list[str]] = {}
    for log_id, unit_id in units.items():
        by_unit.setdefault(unit_id or f"of {log_id} alone", []).append(log_id)
    asked = {first: _unit(tx, store, first, units[first], closed=first in closed) for first, *_ in by_unit.values()}
    found = frozenset(
        log_id for first, *more in by_unit.values() if _is_called(asked[first], names) for log_id in (first, *more)
    )
    return found, frozenset(unit.id for unit in asked.values()) - {""}


def _unit(tx: Connection, store: LogStore, log_id: str, unit_id: str, *, closed: bool) -> OrgUnit:
    """Return the unit of a log; of a damaged closed one what stands in clear, so that the others are controlled."""
    try:
        return store.load(tx, log_id).log.unit
    except SealError:
        if closed:
            return OrgUnit(id=unit_id)
        raise


def _is_called(unit: OrgUnit, names: Collection[str]) -> bool:
    return not {unit.id, unit.organisation_number, unit.name}.isdisjoint(set(names) - {""})


def control_round(
    of_unit: Iterable[RelayLog],
    unit: str,
    on: date,
    *,
    waiting: Iterable[Unarchived] = (),
    idle_days: int = 60,
    consent_days: int = 30,
) -> ControlPage:
    """Look through the open logs of a unit as they stand, seen from a day; pure. `waiting` are its closed ones.

    No activity is no change for `idle_days` or more; a consent runs out when it ends within `consent_days`, or has
    ended, and nothing later to the same service stands in its place.
    """
    checks: dict[Check, Callable[[RelayLog], Finding | None]] = {
        Check.ACTIVE: lambda log: Finding(log.id, log.opened_on),
        Check.OVERDUE: lambda log: _overdue(log, on),
        Check.NOT_EVALUATED: lambda log: _not_evaluated(log, on),
        Check.NO_HOLDER: lambda log: _without_holder(log, on),
        Check.BATON_WAITING: _baton_waiting,
        Check.IDLE: lambda log: _idle(log, on - timedelta(days=idle_days)),
        Check.CONSENT_ENDING: lambda log: _consent_ending(log, on + timedelta(days=consent_days)),
        Check.CHILD_NOT_HEARD: lambda log: _child_not_heard(log, on),
    }
    open_ones = sorted((log for log in of_unit if log.status in GOING_ON), key=lambda log: log.id)
    found = tuple(
        (check, tuple(finding for log in open_ones if (finding := look(log)))) for check, look in checks.items()
    )
    closed = tuple(Finding(each.log_id, local_day(each.since)) for each in waiting)
    return ControlPage(unit, on, idle_days, consent_days, found, closed)


def _finding(log: RelayLog, days: list[date | None]) -> Finding | None:
    """Return a finding with the first of its dates, None where there is nothing to find."""
    return Finding(log.id, min((day for day in days if day), default=None), len(days)) if days else None


def _overdue(log: RelayLog, on: date) -> Finding | None:
    going_on = (measure for measure in log.measures if measure.status not in DONE_MEASURES)
    return _finding(log, [measure.deadline for measure in going_on if measure.deadline and measure.deadline < on])


def _not_evaluated(log: RelayLog, on: date) -> Finding | None:
    """A measure whose evaluation is due, or that waits for one, and that no evaluation is registered on."""
    evaluated = {evaluation.measure for evaluation in log.evaluations}
    return _finding(
        log,
        [
            measure.evaluate_by
            for measure in log.measures
            if measure.id not in evaluated and _should_be_evaluated(measure, on)
        ],
    )


def _should_be_evaluated(measure: Measure, on: date) -> bool:
    if measure.status is MeasureStatus.STOPPED:
        return False
    return measure.status is MeasureStatus.TO_EVALUATE or bool(measure.evaluate_by and measure.evaluate_by < on)


def _without_holder(log: RelayLog, on: date) -> Finding | None:
    """Nobody is named as holder, or the participant of that name has ended their part."""
    if log.holder is None or not log.holder.name:
        return Finding(log.id, None)
    mine = [party for party in log.parties if party.role is Role.HOLDER and party.name == log.holder.name]
    ended = [party.to_on for party in mine if party.to_on and party.to_on < on]
    return Finding(log.id, max(ended)) if mine and len(ended) == len(mine) else None


def _baton_waiting(log: RelayLog) -> Finding | None:
    return _finding(log, [offer.offered_on for offer in log.handovers if offer.answer is BatonAnswer.OFFERED])


def _idle(log: RelayLog, since: date) -> Finding | None:
    changed = local_day(log.changed_at) if log.changed_at else None
    return Finding(log.id, changed) if changed is None or changed <= since else None


def _consent_ending(log: RelayLog, by: date) -> Finding | None:
    """The last end of the consents to each service, where it comes soon or has passed."""
    last: dict[tuple[Service, str], date] = {}
    for consent in log.consents:
        if consent.status in (ConsentStatus.GIVEN, ConsentStatus.EXPIRED) and consent.withdrawn_on is None:
            reader = consent.recipient, consent.recipient_unit
            end = min(consent.valid_to or _undated_end(consent), _signed_until(consent, log))
            last[reader] = max(last.get(reader, date.min), end)
    return _finding(log, [None if end == date.min else end for end in last.values() if end <= by])


def _signed_until(consent: Consent, log: RelayLog) -> date:
    """What others have signed lasts until the day before the child comes of age."""
    birthday = comes_of_age(log)
    own = any(signer.role is SignerRole.YOUTH for signer in consent.signed_by)
    return date.max if own or birthday is None else birthday - timedelta(days=1)


def _undated_end(consent: Consent) -> date:
    """A consent without an end lasts; one that has run out has ended some day."""
    return date.min if consent.status is ConsentStatus.EXPIRED else date.max


def _child_not_heard(log: RelayLog, on: date) -> Finding | None:
    """An adult talks with the child between meetings; a pregnant woman's log has no child to talk with."""
    met = [day for meeting in log.meetings if meeting.starts_at and (day := local_day(meeting.starts_at)) <= on]
    if log.subject.kind is SubjectKind.PREGNANT or not met:
        return None
    heard = (note.on for note in log.notes if note.kind is NoteKind.CHILD_CONVERSATION or note.part is Part.CHILD_VOICE)
    return None if any(day and day >= max(met) for day in heard) else Finding(log.id, max(met))
