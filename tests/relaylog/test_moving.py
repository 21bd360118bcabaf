"""Moving away: a copy for the new municipality by a new consent alone, and under protection none."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from hub.relaylog.codes import (
    AddressProtection,
    ClosureReason,
    ConsentStatus,
    LogStatus,
    Part,
    Service,
    SignerRole,
)
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules, parts_open_to
from hub.relaylog.model import Closure, Consent, RelayLog, Signer
from hub.relaylog.moving import READER, NoCopy, copy_rules, for_new_municipality, has_moved
from hub.relaylog.protection import veiled
from hub.relaylog.sharing import Ceiling, Sharing
from hub.relaylog.view import view
from tests.documents.worked import TODAY, consent, worked_log

MOVED = date(2026, 11, 1)
AFTER = MOVED + timedelta(days=1)
RULES = Rules(Sharing(), ConsentPolicy())
CLOSURE = Closure(on=MOVED, reason=ClosureReason.MOVED, text="Til Nyvik.", continues_as="Oppvekst i Nyvik kommune.")


def _new(*parts: Part, on: date | None = AFTER, **more: Any) -> Consent:
    signed = (Signer(name="Solvår Testmor", role=SignerRole.MOTHER, on=on),)
    given = {"valid_from": on, "signed_by": signed, "recipient_unit": "Nyvik kommune", **more}
    return consent(READER, *(parts or (Part.EDUCATION,)), **given)


def _log(*consents: Consent, **changes: Any) -> RelayLog:
    return worked_log(**{"status": LogStatus.CLOSED, "closure": CLOSURE, "consents": consents, **changes})


def _open(log: RelayLog, rules: Rules = RULES) -> frozenset[Part]:
    asked = for_new_municipality(log)
    assert not isinstance(asked, NoCopy)
    return parts_open_to(asked, READER, TODAY, copy_rules(log, rules))


def test_a_new_consent_opens_the_parts_that_it_names() -> None:
    """Education and health where both are named, and only what is named."""
    assert _open(_log(_new())) == {Part.EDUCATION}
    assert _open(_log(_new(Part.EDUCATION, Part.HEALTH))) == {Part.EDUCATION, Part.HEALTH}
    assert _open(_log(_new(Part.HEALTH))) == {Part.HEALTH}


def test_a_copy_holds_the_text_from_before_the_consent() -> None:
    """The consent is about what the log has been: the view has what was written then."""
    log = _log(_new())
    asked = for_new_municipality(log)
    assert not isinstance(asked, NoCopy)
    shown = view(asked, [READER], TODAY, copy_rules(log, RULES))
    assert [each.text for each in shown.measures] == [each.text for each in worked_log().measures]


@pytest.mark.parametrize(
    "given",
    [
        _new(on=MOVED),
        _new(on=MOVED - timedelta(days=30)),
        _new(on=None),
        _new(valid_from=AFTER, signed_by=(Signer(name="Solvår Testmor", role=SignerRole.MOTHER, on=MOVED),)),
        _new(recipient_unit=""),
        _new(recipient_unit="Gamlevik kommune"),
        _new(recipient_unit="vik kommune"),
        consent(Service.SCHOOL, Part.EDUCATION, valid_from=AFTER, recipient_unit="Nyvik kommune"),
        _new(status=ConsentStatus.WITHDRAWN),
    ],
)
def test_no_other_consent_does(given: Consent) -> None:
    """From the day of closing or before, without a day, to nobody, to another, or withdrawn: no copy."""
    assert for_new_municipality(_log(given)) is NoCopy.NO_CONSENT


def test_a_refusal_outweighs_it() -> None:
    """Somebody has refused the new municipality, whenever that was: nothing is open."""
    assert _open(_log(_new(), _new(on=None, status=ConsentStatus.REFUSED, recipient_unit=""))) == frozenset()


def test_a_consent_that_is_not_signed_by_all_opens_nothing() -> None:
    """The usual rules of who must sign hold here too."""
    assert _open(_log(_new(signed_by=()))) == frozenset()


def test_only_a_log_that_was_closed_as_moved_has_a_copy() -> None:
    """An active log, and one that was closed for another reason, have none; neither has one without a place."""
    assert has_moved(_log())
    assert for_new_municipality(_log(_new(), status=LogStatus.ACTIVE)) is NoCopy.NOT_MOVED
    other = Closure(on=MOVED, reason=ClosureReason.GOAL_REACHED, continues_as="Nyvik kommune")
    assert for_new_municipality(_log(_new(), closure=other)) is NoCopy.NOT_MOVED
    for less in ({"continues_as": ""}, {"on": None}):
        closure = CLOSURE.model_copy(update=less)
        assert for_new_municipality(_log(_new(), closure=closure)) is NoCopy.NOT_NAMED


@pytest.mark.parametrize(
    "grade",
    [AddressProtection.CLIENT_ADDRESS, AddressProtection.CONFIDENTIAL, AddressProtection.STRICTLY_CONFIDENTIAL],
)
def test_under_protection_the_new_municipality_is_written_nowhere(grade: AddressProtection) -> None:
    """No copy whatever was consented to, and no view of anybody's names where the child went."""
    subject = worked_log().subject.model_copy(update={"address_protection": grade})
    log = _log(_new(), consent(Service.PPT, Part.EDUCATION), subject=subject)
    assert for_new_municipality(log) is NoCopy.PROTECTED
    shown = view(log, [Service.PPT], TODAY, RULES)
    assert "Nyvik" not in shown.model_dump_json()
    assert "Nyvik" not in veiled(log).model_dump_json()


def test_a_log_about_violence_has_no_copy() -> None:
    """It reads as a special rule, like protection: the answer does not tell which."""
    assert for_new_municipality(_log(_new(), violence=True)) is NoCopy.PROTECTED


def test_a_copy_goes_no_further_than_to_the_same_service_here() -> None:
    """What the municipality opens to no kindergarten is in no kindergarten's copy, and contact details never are."""
    closed = Rules(Sharing(parts={Part.HEALTH: Ceiling(readers=frozenset({Service.PPT}))}), ConsentPolicy())
    assert _open(_log(_new(Part.EDUCATION, Part.HEALTH)), closed) == frozenset()
    everything = _new(*Part)
    assert _open(_log(everything)).isdisjoint({Part.CONTACT, Part.OWN, Part.ABOUT_OTHERS, Part.CHILD_WELFARE})
