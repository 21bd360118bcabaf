"""The gates: what stops a log whoever reads, what stops it for a reader, and to whom each stop is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings

from hub.relaylog.codes import Access, AddressProtection, ConsentStatus, LogStatus, Part, Residence, Service, SignerRole
from hub.relaylog.consent import Missing, Refused, opened
from hub.relaylog.gates import (
    Decider,
    Withdrawn,
    parts_open_to,
    special_stops,
    stops,
    unnamed_parts,
    withdrawn_readers,
)
from hub.relaylog.model import Actor, Consent, Guardian, Note, Relative, RelayLog, Signer, Subject
from tests.relaylog.strategies import DAY, RULES, logs, reader_sets, sendable

MOTHER = Guardian(
    id="g1",
    name="Solskinn Testmor",
    parental_responsibility=True,
    residence=Residence.TOGETHER,
    address_protection=AddressProtection.NONE,
)
SIGNED = Consent(
    recipient=Service.PPT,
    status=ConsentStatus.GIVEN,
    valid_from=DAY,
    signed_by=(Signer(name="Solskinn Testmor", role=SignerRole.MOTHER),),
)
FREE = RelayLog(
    status=LogStatus.ACTIVE,
    subject=Subject(address_protection=AddressProtection.NONE),
    guardians=(MOTHER,),
    consents=(SIGNED, SIGNED.model_copy(update={"recipient": Service.FAMILY})),
)


def _reasons(log: RelayLog, *readers: Service) -> list[str]:
    return [stop.reason for stop in stops(log, readers, DAY, RULES)]


def test_an_ordinary_log_goes() -> None:
    """With a consent, a known address and an active log nothing stops."""
    assert stops(FREE, (Service.PPT, Service.FAMILY), DAY, RULES) == ()


def test_violence_stops_everything() -> None:
    """A log that concerns violence goes to nobody, and why is told to the rule's owner alone."""
    (stop,) = stops(FREE.model_copy(update={"violence": True}), (Service.PPT,), DAY, RULES)
    assert (stop.reason, stop.decider, stop.revealing, stop.of_log) == ("violence", Decider.RULE_OWNER, True, True)


WITH_TEXT = FREE.model_copy(update={"notes": (Note(id="n1", text="tekst", part=Part.PPT),)})


def _protecting(log: RelayLog, who: str, protection: AddressProtection) -> RelayLog:
    """Give one person of the log a protected address."""
    changes: dict[str, dict[str, object]] = {
        "subject": {"subject": Subject(address_protection=protection)},
        "guardian": {"guardians": (MOTHER, Guardian(id="g2", address_protection=protection))},
        "relative": {"relatives": (Relative(id="r1", address_protection=protection),)},
    }
    return log.model_copy(update=changes[who])


@pytest.mark.parametrize("who", ["subject", "guardian", "relative"])
def test_strict_protection_stops_the_log(who: str) -> None:
    """Strict protection of the child, a guardian or a sibling stops the whole log, and why is not told."""
    log = _protecting(FREE, who, AddressProtection.STRICTLY_CONFIDENTIAL)
    (stop,) = stops(log, (Service.PPT,), DAY, RULES)
    assert (stop.reason, stop.revealing, stop.of_log) == ("address_protected", True, True)


@pytest.mark.parametrize("protection", [AddressProtection.CONFIDENTIAL, AddressProtection.CLIENT_ADDRESS])
@pytest.mark.parametrize("who", ["subject", "guardian", "relative"])
def test_other_protection_stops_unread_text(who: str, protection: AddressProtection) -> None:
    """Other protection of any of them stops what nobody has read; a log without text may go, veiled."""
    assert stops(_protecting(FREE, who, protection), (Service.PPT,), DAY, RULES) == ()
    (stop,) = stops(_protecting(WITH_TEXT, who, protection), (Service.PPT,), DAY, RULES)
    assert (stop.reason, stop.revealing, stop.of_log) == ("free_text_unread", True, True)


def test_a_veiled_log_of_unknown_protection_waits_as_well() -> None:
    """That a sibling's grade is known does not say that the child's is: reading the text alone lets nothing go."""
    log = _protecting(WITH_TEXT, "relative", AddressProtection.CONFIDENTIAL).model_copy(update={"subject": Subject()})
    assert _reasons(log, Service.PPT) == ["free_text_unread", "protection_unknown"]


def test_unknown_protection_is_not_none() -> None:
    """A log whose system does not say whether the child's address is protected waits."""
    assert _reasons(FREE.model_copy(update={"subject": Subject()}), Service.PPT) == ["protection_unknown"]


def test_a_barred_guardian_stops_the_family() -> None:
    """Where a guardian is barred the log does not go to where the family reads, but goes elsewhere."""
    barred = Guardian(id="g2", barred=True, address_protection=AddressProtection.NONE)
    log = FREE.model_copy(update={"guardians": (MOTHER, barred)})
    assert _reasons(log, Service.PPT) == []
    (stop,) = stops(log, (Service.PPT, Service.FAMILY), DAY, RULES)
    assert (stop.reason, stop.decider, stop.revealing) == ("guardian_barred", Decider.RULE_OWNER, True)


@pytest.mark.parametrize(("responsible", "stopped"), [(True, False), (None, True), (False, True)])
def test_who_reads_must_have_the_responsibility(responsible: bool | None, *, stopped: bool) -> None:
    """A guardian with access but without known responsibility stops the family's system, and no other."""
    other = Guardian(
        id="g2",
        access=Access.READ,
        parental_responsibility=responsible,
        address_protection=AddressProtection.NONE,
    )
    log = FREE.model_copy(update={"guardians": (MOTHER, other)})
    assert _reasons(log, Service.PPT) == []
    assert _reasons(log, Service.FAMILY) == (["guardian_may_not_read"] if stopped else [])


def test_what_no_consent_names_is_told() -> None:
    """A part that the log has text in and that nobody opened is named, unless sharing keeps it from the reader."""
    notes = tuple(Note(id=part, text="tekst", part=part) for part in (Part.EDUCATION, Part.HEALTH, Part.OWN))
    log = FREE.model_copy(update={"notes": notes})
    assert unnamed_parts(log, Service.PPT, DAY, RULES) == {Part.HEALTH}


@pytest.mark.parametrize("status", [LogStatus.DRAFT, LogStatus.AWAITING_CONSENT, LogStatus.REJECTED, LogStatus.UNKNOWN])
def test_a_log_that_has_not_begun_waits(status: LogStatus) -> None:
    """A log that is not active goes nowhere; one that is paused, closed or archived may."""
    assert _reasons(FREE.model_copy(update={"status": status}), Service.PPT) == ["not_started"]
    for later in (LogStatus.PAUSED, LogStatus.CLOSED, LogStatus.ARCHIVED):
        assert _reasons(FREE.model_copy(update={"status": later}), Service.PPT) == []


def test_each_reader_needs_a_consent() -> None:
    """One of several readers without a consent stops the log, and the holder may mend it."""
    (stop,) = stops(FREE, (Service.PPT, Service.SCHOOL), DAY, RULES)
    assert (stop.reason, stop.decider, stop.revealing) == ("no_consent", Decider.HOLDER, False)
    assert Service.SCHOOL in stop.releases_when


def test_a_hidden_reader_is_not_told_of() -> None:
    """That child welfare lacks a consent would tell that it reads: only the rule's owner sees that."""
    (stop,) = stops(FREE, (Service.CHILD_WELFARE,), DAY, RULES)
    assert (stop.reason, stop.decider, stop.revealing) == ("no_consent", Decider.RULE_OWNER, True)


def test_a_system_without_readers_gets_nothing() -> None:
    """Where nobody has said who reads, nothing goes."""
    (stop,) = stops(FREE, (), DAY, RULES)
    assert (stop.reason, stop.decider) == ("no_consent", Decider.OPERATOR)


@pytest.mark.parametrize(("holder", "opens"), [(Service.PPT, True), (Service.SCHOOL, False)])
def test_contact_opens_to_the_holders_service(holder: Service, opens: bool) -> None:
    """Who holds the baton may reach everybody; another reader may not, and a family that holds it reads no more."""
    held = FREE.model_copy(update={"holder": Actor(service=holder)})
    assert (Part.CONTACT in parts_open_to(held, Service.PPT, DAY, RULES)) is opens
    by_family = FREE.model_copy(update={"holder": Actor(service=Service.FAMILY)})
    assert parts_open_to(by_family, Service.FAMILY, DAY, RULES) == {Part.EDUCATION}


@settings(deadline=None, max_examples=100)
@given(logs(), reader_sets())
def test_what_stops_is_said_once_and_says_all(log: RelayLog, readers: frozenset[Service]) -> None:
    """Stops are distinct, the same in any order of readers, and cover special rules and every missing consent."""
    found = stops(log, readers, DAY, RULES)
    assert len(set(found)) == len(found)
    assert found == stops(log, sorted(readers, reverse=True), DAY, RULES)
    assert set(special_stops(log)) <= set(found)
    answers = [opened(log, reader, DAY, RULES.consent) for reader in readers]
    missing = {str(answer.reason) for answer in answers if isinstance(answer, Refused)}
    assert missing <= {stop.reason for stop in found}
    assert bool(found) or readers


@settings(deadline=None, max_examples=100)
@given(logs(), reader_sets())
def test_only_consent_stops_a_sendable_log(log: RelayLog, readers: frozenset[Service]) -> None:
    """Where nothing special is the matter only consents are missing."""
    reasons = {stop.reason for stop in stops(sendable(log), readers, DAY, RULES)}
    assert reasons <= {*map(str, Missing), "guardian_may_not_read"}


def test_who_has_had_a_log_and_lost_it_is_named() -> None:
    """Readers to whom the log is closed, or opens less than they have had, are listed with what they lose and why."""
    had = {Service.PPT: frozenset({Part.EDUCATION, Part.PPT, Part.OWN}), Service.FAMILY: frozenset({Part.EDUCATION})}
    named = SIGNED.model_copy(update={"parts": (Part.PPT,)})
    both = FREE.model_copy(update={"consents": (named, FREE.consents[1])})
    assert withdrawn_readers(both, had, DAY, RULES) == ()
    narrowed = (Withdrawn(Service.PPT, frozenset({Part.PPT}), None),)
    assert withdrawn_readers(FREE, had, DAY, RULES) == narrowed
    ended = named.model_copy(update={"status": ConsentStatus.WITHDRAWN, "withdrawn_on": DAY})
    lost = Withdrawn(Service.PPT, frozenset({Part.EDUCATION, Part.PPT}), Refused(Missing.WITHDRAWN, DAY))
    gone = both.model_copy(update={"consents": (ended, FREE.consents[1])})
    assert withdrawn_readers(gone, had, DAY, RULES) == (lost,)
    assert withdrawn_readers(gone.model_copy(update={"status": LogStatus.CLOSED}), had, DAY, RULES) == (lost,)


def test_after_a_log_has_ended_a_consent_may_run_out() -> None:
    """Only a withdrawal or a refusal asks anybody to stop using a log that is closed."""
    over = SIGNED.model_copy(update={"valid_to": DAY})
    had, next_day = {Service.PPT: frozenset({Part.EDUCATION})}, DAY + timedelta(days=1)
    active = FREE.model_copy(update={"consents": (over,)})
    assert [each.reader for each in withdrawn_readers(active, had, next_day, RULES)] == [Service.PPT]
    closed = active.model_copy(update={"status": LogStatus.CLOSED})
    assert withdrawn_readers(closed, had, next_day, RULES) == ()
