"""The sharing ceiling: how far each part may go at most, whatever a consent says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.relaylog.codes import Part, Service
from hub.relaylog.gates import Rules, parts_open_to, stops
from hub.relaylog.model import RelayLog
from hub.relaylog.sharing import COMMON, Ceiling, ControllerAgreement, Sharing
from tests.relaylog.strategies import DAY, READERS, RULES, logs

SHARING = Sharing()


@pytest.mark.parametrize("reader", list(Service))
@pytest.mark.parametrize("part", [Part.OWN, Part.ABOUT_OTHERS, Part.CONTACT])
def test_some_parts_go_to_nobody(part: Part, reader: Service) -> None:
    """Own notes, text about others and contact details are opened to nobody, named or not."""
    assert not SHARING.allows(part, reader, named=True, child_asked=True)


@pytest.mark.parametrize("reader", list(Service))
def test_child_welfare_goes_to_the_family_alone(reader: Service) -> None:
    """What child welfare writes may reach the family, when a consent names it, and no service."""
    assert SHARING.allows(Part.CHILD_WELFARE, reader, named=True, child_asked=True) is (reader is Service.FAMILY)
    assert not SHARING.allows(Part.CHILD_WELFARE, reader, named=False, child_asked=True)


@pytest.mark.parametrize("reader", list(Service))
def test_the_common_text_goes_to_those_around_the_child(reader: Service) -> None:
    """Education reaches kindergarten, school, PPT, health, child welfare and the family without being named."""
    assert SHARING.allows(Part.EDUCATION, reader, named=False, child_asked=False) is (reader in COMMON)


@pytest.mark.parametrize("part", [Part.PPT, Part.HEALTH])
def test_some_parts_must_be_named(part: Part) -> None:
    """PPT's and health's text is open only where the consent names it."""
    assert SHARING.allows(part, Service.SCHOOL, named=True, child_asked=False)
    assert not SHARING.allows(part, Service.SCHOOL, named=False, child_asked=False)


def test_the_child_is_asked_about_its_own_voice() -> None:
    """The child's voice is open only when it is named and the child was asked."""
    assert SHARING.allows(Part.CHILD_VOICE, Service.SCHOOL, named=True, child_asked=True)
    assert not SHARING.allows(Part.CHILD_VOICE, Service.SCHOOL, named=True, child_asked=False)
    assert not SHARING.allows(Part.CHILD_VOICE, Service.SCHOOL, named=False, child_asked=True)


def test_a_part_without_a_ceiling_goes_nowhere() -> None:
    """A municipality that names no ceiling for a part shares it with nobody."""
    sharing = Sharing(parts={Part.PPT: Ceiling(readers=COMMON)})
    assert not sharing.allows(Part.EDUCATION, Service.SCHOOL, named=True, child_asked=True)


@settings(deadline=None, max_examples=100)
@given(logs(), st.sampled_from(READERS))
def test_nothing_opens_above_the_ceiling(log: RelayLog, reader: Service) -> None:
    """What is open to a reader of any log is allowed by the ceiling even if everything were named, but for contact."""
    most = {part for part in Part if SHARING.allows(part, reader, named=True, child_asked=True)}
    assert parts_open_to(log, reader, DAY, RULES) <= most | {Part.CONTACT}


@settings(deadline=None, max_examples=100)
@given(logs(), st.sampled_from(READERS))
def test_contact_is_for_the_holder(log: RelayLog, reader: Service) -> None:
    """Contact details open to the holder's service, with a consent, and never to the family."""
    open_parts = parts_open_to(log, reader, DAY, RULES)
    holds = log.holder is not None and log.holder.service is reader and reader is not Service.FAMILY
    assert (Part.CONTACT in open_parts) is (holds and open_parts != frozenset())


@settings(deadline=None, max_examples=100)
@given(logs(), st.sampled_from(READERS), st.sampled_from(list(Part)))
def test_a_lower_ceiling_only_closes(log: RelayLog, reader: Service, part: Part) -> None:
    """Taking a reader from a part's ceiling closes that part to that reader and changes nothing else."""
    ceilings = {**SHARING.parts, part: Ceiling()}
    lower = Rules(Sharing(parts=ceilings), RULES.consent)
    was, now = parts_open_to(log, reader, DAY, RULES), parts_open_to(log, reader, DAY, lower)
    assert now == (was if part is Part.CONTACT else was - {part})


OTHER = "900009996"
"""A made-up organisation number of a private kindergarten's owner."""
AGREEMENT = ControllerAgreement(
    controller=OTHER, number="2026/17", date=DAY, by="Kommunedirektøren", services=frozenset({Service.KINDERGARTEN})
)


def test_another_controller_needs_an_agreement() -> None:
    """An agreement covers its own services from its own day; several together cover what each does."""
    sharing = Sharing(agreements=(AGREEMENT,))
    assert sharing.agreed(OTHER, {Service.KINDERGARTEN}, DAY)
    assert not sharing.agreed(OTHER, {Service.KINDERGARTEN}, DAY - timedelta(days=1))
    assert not sharing.agreed(OTHER, {Service.KINDERGARTEN, Service.FAMILY}, DAY)
    assert not sharing.agreed("900001002", {Service.KINDERGARTEN}, DAY)
    family = AGREEMENT.model_copy(update={"number": "2026/18", "services": frozenset({Service.FAMILY})})
    both = Sharing(agreements=(AGREEMENT, family))
    assert both.agreed(OTHER, {Service.KINDERGARTEN, Service.FAMILY}, DAY)


def test_without_an_agreement_nothing_crosses() -> None:
    """A system of another controller is stopped by a rule of its own, and an agreement lets it through that rule."""
    with_agreement = Rules(Sharing(agreements=(AGREEMENT,)), RULES.consent)
    for rules, other, stopped in ((RULES, OTHER, True), (with_agreement, OTHER, False), (RULES, "", False)):
        found = stops(RelayLog(), (Service.KINDERGARTEN,), DAY, rules, other)
        assert ("no_agreement" in {stop.reason for stop in found}) is stopped
