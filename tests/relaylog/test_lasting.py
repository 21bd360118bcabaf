"""What limits who reads and lasts: consents that are gone or would open more, and texts that are kept closely."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from hub.relaylog.codes import ConsentStatus, Part, Service
from hub.relaylog.lasting import Kept, lost, no_looser, overtaken, unsaid
from hub.relaylog.merge import Place, Settlement, System
from hub.relaylog.model import Consent, Note, RelayLog

DAY = date(2026, 11, 20)
WEEK = timedelta(days=7)


def _consent(name: str, begins: date | None, status: ConsentStatus = ConsentStatus.GIVEN) -> Consent:
    return Consent(id=name, recipient=Service.PPT, status=status, valid_from=begins)


def _id_of(what: str) -> str:
    return f"was {what}"


def _lost(now: tuple[Consent, ...], *before: Consent) -> list[tuple[str, ConsentStatus]]:
    found = lost(RelayLog(consents=before), RelayLog(consents=now), now, _id_of)
    return [(one.id, one.status) for one in found]


OLD = _consent("old", DAY - WEEK)
UNKNOWN = ConsentStatus.UNKNOWN


def test_one_that_is_gone_is_kept_as_unknown() -> None:
    """What stood there and stands there no more is kept, whatever is older; what stands is not touched."""
    assert _lost((OLD,), OLD, _consent("new", DAY)) == [("new", UNKNOWN)]
    assert _lost((OLD,), OLD) == []


def test_one_that_was_unknown_already_stays() -> None:
    """The next reading finds it gone still."""
    assert _lost((OLD,), OLD, _consent("new", DAY, UNKNOWN)) == [("new", UNKNOWN)]


@pytest.mark.parametrize("status", sorted(set(ConsentStatus) - {ConsentStatus.GIVEN, UNKNOWN}))
def test_one_that_opened_nothing_is_not_kept_here(status: ConsentStatus) -> None:
    """What was never decided opened nothing, and one that has ended is remembered as it was."""
    assert _lost((OLD,), _consent("new", DAY, status)) == []


@pytest.mark.parametrize(
    ("newer", "asked"),
    [
        (_consent("newer", DAY), False),
        (_consent("newer", DAY, ConsentStatus.REFUSED), False),
        (_consent("newer", DAY - WEEK).model_copy(update={"parts": (Part.PPT,)}), True),
        (_consent("newer", DAY + WEEK), True),
        (_consent("newer", None), True),
        (_consent("newer", DAY, ConsentStatus.PENDING), True),
        (_consent("newer", DAY).model_copy(update={"recipient": Service.FAMILY}), True),
    ],
)
def test_only_a_decided_one_that_began_later_overtakes(newer: Consent, asked: bool) -> None:
    """Of the same day, not begun, without a date, undecided or to another reader is not the latest word."""
    assert _lost((newer,), OLD) == [("old", UNKNOWN)]
    assert overtaken(OLD, RelayLog(consents=(newer,)), DAY) is not asked


def test_one_without_a_date_is_overtaken_by_any_that_has_begun() -> None:
    """Nobody knows when it began: a dated one counts as later, as it does while both stand."""
    assert overtaken(_consent("undated", None), RelayLog(consents=(OLD,)), DAY)


@pytest.mark.parametrize(("parts", "kept"), [((Part.PPT,), False), ((Part.PPT, Part.HEALTH), True)])
def test_one_that_stands_there_under_another_id_is_not_lost(parts: tuple[Part, ...], kept: bool) -> None:
    """An import gives everything new ids: what is told in the same words stands, and what opens more is another."""
    narrow = OLD.model_copy(update={"parts": (Part.PPT,)})
    twin = OLD.model_copy(update={"id": "again", "parts": parts})
    assert bool(_lost((twin,), narrow)) is kept
    (first, _) = unsaid(RelayLog(consents=(narrow, twin)), {"old"}, (twin,)).consents
    assert (first.status is UNKNOWN) is kept


def test_what_is_deleted_everywhere_is_unknown() -> None:
    """A given one becomes unknown; a withdrawn one stays withdrawn, and others stay as they are."""
    ended = _consent("ended", DAY, ConsentStatus.WITHDRAWN)
    log = RelayLog(consents=(OLD, ended, _consent("other", DAY)))
    statuses = {one.id: one.status for one in unsaid(log, {"old", "ended"}, ()).consents}
    assert statuses == {"old": UNKNOWN, "ended": ConsentStatus.WITHDRAWN, "other": ConsentStatus.GIVEN}
    assert unsaid(log, set(), ()) is log


def _note(part: Part, writer: Service = Service.HEALTH_STATION) -> Note:
    return Note(id="n1", part=part, writer=writer)


def _system(name: str, service: Service, *notes: Note) -> System:
    return System(name, frozenset({service}), RelayLog(notes=notes))


@pytest.mark.parametrize(
    ("at_its_writer", "elsewhere", "held"),
    [
        (Part.EDUCATION, Part.EDUCATION, Part.EDUCATION),
        (None, Part.EDUCATION, Part.OWN),
        (Part.HEALTH, Part.EDUCATION, Part.OWN),
        (Part.OWN, Part.EDUCATION, Part.OWN),
    ],
)
def test_only_its_writer_lets_a_text_be_kept_less_closely(
    at_its_writer: Part | None, elsewhere: Part, held: Part
) -> None:
    """Kept as somebody's own it stays so, until the system where its writer works says what the log would say."""
    there = [_note(at_its_writer)] if at_its_writer else []
    systems = (_system("a", Service.HEALTH_STATION, *there), _system("b", Service.SCHOOL, _note(elsewhere)))
    found = no_looser(RelayLog(notes=(_note(Part.OWN),)), RelayLog(notes=(_note(elsewhere),)), systems, {})
    assert found.log.notes[0].part is held
    assert bool(found.conflicts) is (held is not elsewhere)


def test_what_is_kept_more_closely_or_is_new_is_as_told() -> None:
    """Tightening needs nobody's leave, and what was not there before has nothing to stay at."""
    now = RelayLog(notes=(_note(Part.OWN), Note(id="n2")))
    assert no_looser(RelayLog(notes=(_note(Part.HEALTH),)), now, (), {}) == Kept(now)


@pytest.mark.parametrize(
    ("before", "now", "held"),
    [
        ({"valid_to": DAY}, {"valid_to": None}, {"valid_to": DAY}),
        ({"valid_to": DAY}, {"valid_to": DAY + WEEK}, {"valid_to": DAY}),
        ({"valid_to": DAY}, {"valid_to": DAY - WEEK}, {"valid_to": DAY - WEEK}),
        ({"parts": (Part.PPT,)}, {"parts": (Part.PPT, Part.HEALTH)}, {"parts": (Part.PPT,)}),
        ({"withdrawn_on": DAY}, {"withdrawn_on": None}, {"withdrawn_on": DAY}),
        ({"parts": ()}, {"parts": (Part.EDUCATION, Part.HEALTH)}, {"parts": (Part.EDUCATION,)}),
        ({"child_asked": False}, {"child_asked": True}, {"child_asked": True}),
        ({"signed_by": ()}, {"registered_by": "x"}, {"registered_by": "x"}),
    ],
)
def test_a_consent_opens_no_more_than_it_did(
    before: dict[str, object], now: dict[str, object], held: dict[str, object]
) -> None:
    """Longer, wider or no longer withdrawn takes a new consent; shorter, or known again, is as told."""
    told = RelayLog(consents=(OLD.model_copy(update=now),))
    systems = (System("a", frozenset(), told),)
    found = no_looser(RelayLog(consents=(OLD.model_copy(update=before),)), told, systems, {})
    assert found.log.consents == (OLD.model_copy(update=held),)
    asked = [(conflict.place.field, dict(conflict.values)) for conflict in found.conflicts]
    assert asked == ([(field, {"a": now[field]}) for field in now] if held != now else [])


@pytest.mark.parametrize("chosen", [DAY, DAY + WEEK])
def test_what_a_person_has_settled_counts(chosen: date) -> None:
    """Whether the longer term holds or the shorter, over what is told now; nobody is asked again."""
    place = Place("consents", "old", "valid_to")
    before, told = (RelayLog(consents=(OLD.model_copy(update={"valid_to": day}),)) for day in (DAY, DAY + WEEK))
    systems = (System("a", frozenset(), told),)
    found = no_looser(before, told, systems, {place: Settlement(chosen, (DAY + WEEK,))})
    assert [one.valid_to for one in found.log.consents] == [chosen]
    assert (found.conflicts, found.settled) == ((), frozenset({place}))


@pytest.mark.parametrize(
    "edit",
    [
        {"valid_from": None},
        {"valid_from": DAY + WEEK},
        {"valid_from": DAY - WEEK},
        {"recipient": Service.FAMILY},
        {"recipient": Service.UNKNOWN},
        {"status": ConsentStatus.PENDING},
    ],
)
def test_one_that_becomes_another_under_its_id_is_lost(edit: dict[str, object]) -> None:
    """What it was stays as one nobody knows, under an id that is always the same, and says what it said."""
    newer = _consent("new", DAY)
    found = lost(RelayLog(consents=(newer,)), RelayLog(consents=(newer.model_copy(update=edit),)), (), _id_of)
    again = lost(RelayLog(consents=found), RelayLog(), (), _id_of)
    assert [(one.valid_from, one.recipient, one.status) for one in found] == [(DAY, Service.PPT, UNKNOWN)]
    assert found[0].id != "new"
    assert again == found


def test_one_that_is_moved_on_in_place_limits_nothing() -> None:
    """Of a renewal written over the old consent nobody is asked, and the old term is none of the new one's."""
    renewed = OLD.model_copy(update={"valid_from": DAY, "valid_to": DAY + WEEK})
    before = RelayLog(consents=(OLD.model_copy(update={"valid_to": DAY}),))
    now = RelayLog(consents=(renewed,))
    (old,) = lost(before, now, (renewed,), _id_of)
    assert overtaken(old, now, DAY)
    assert no_looser(before, now, (System("a", frozenset(), now),), {}) == Kept(now)


def test_one_that_is_told_again_as_undecided_is_still_lost() -> None:
    """An import that gives it another id and calls it pending has not told of it again."""
    pending = OLD.model_copy(update={"id": "again", "status": ConsentStatus.PENDING})
    assert _lost((pending,), OLD) == [("old", UNKNOWN)]
