"""Guardians found in a system: proposals that give nothing until confirmed, and take whatever protects."""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.relaylog.codes import Access, ConsentStatus, Residence, Service, SignerRole
from hub.relaylog.consent import ConsentPolicy, Opened, opened, signed
from hub.relaylog.gates import stops
from hub.relaylog.guardians import new_guardians, with_proposed
from hub.relaylog.model import Consent, Guardian, RelayLog, Signer, Subject
from tests.relaylog.strategies import DAY, READERS, RULES, logs

MOTHER = Guardian(id="g1", name="Solskinn Testmor", parental_responsibility=True, residence=Residence.TOGETHER)
FATHER = Guardian(id="g2", name="Regnbue Testfar", parental_responsibility=True, residence=Residence.TOGETHER)
AGREED = RelayLog(guardians=(MOTHER,))


def test_the_first_reading_has_its_own() -> None:
    """Nothing was agreed before the first record, so its guardians are its own and no proposals."""
    assert new_guardians(None, RelayLog(guardians=(MOTHER, FATHER))) == ()


def test_a_log_without_any_guardian_takes_the_first_it_is_told_of() -> None:
    """A template that names no guardian says nothing about who they are."""
    assert new_guardians(RelayLog(), RelayLog(guardians=(MOTHER, FATHER))) == ()


def test_a_guardian_who_turns_up_is_a_proposal() -> None:
    """One that is not among the agreed must be confirmed, also when a name is the same but nothing else."""
    namesake = MOTHER.model_copy(update={"id": "g9"})
    assert new_guardians(AGREED, RelayLog(guardians=(MOTHER, FATHER, namesake))) == (FATHER, namesake)


def test_a_guardian_is_known_by_number_too() -> None:
    """The same national id under another system's key is the same guardian; two without a number are not."""
    known = AGREED.model_copy(update={"guardians": (MOTHER.model_copy(update={"national_id": "10915596784"}),)})
    again = Guardian(id="g7", national_id="10915596784")
    assert new_guardians(known, RelayLog(guardians=(again,))) == ()
    assert new_guardians(AGREED, RelayLog(guardians=(Guardian(id="g7"),))) == (Guardian(id="g7"),)


def _consent(*signers: Signer) -> Consent:
    return Consent(recipient=Service.PPT, status=ConsentStatus.GIVEN, valid_from=date(2026, 9, 1), signed_by=signers)


BY_MOTHER = Signer(name="Solskinn Testmor", role=SignerRole.MOTHER)
BY_FATHER = Signer(name="Regnbue Testfar", role=SignerRole.FATHER)


def test_who_is_only_proposed_does_not_sign() -> None:
    """The signature of a guardian that nobody has confirmed opens nothing; confirmed, it does."""
    log = RelayLog(subject=Subject(birth_date=date(2017, 1, 1)), guardians=(MOTHER, FATHER))
    log = log.model_copy(update={"consents": (_consent(BY_FATHER),)})
    assert isinstance(opened(log, Service.PPT, DAY, ConsentPolicy()), Opened)
    assert not isinstance(opened(with_proposed(log, (FATHER,)), Service.PPT, DAY, ConsentPolicy()), Opened)


def test_who_is_only_proposed_may_be_needed() -> None:
    """A second guardian with shared residence, not yet confirmed, already keeps the first from signing alone."""
    shared = FATHER.model_copy(update={"residence": Residence.SHARED})
    log = with_proposed(RelayLog(guardians=(MOTHER, shared)), (shared,))
    assert not signed(_consent(BY_MOTHER), log, DAY, ConsentPolicy())
    assert not signed(_consent(BY_MOTHER, BY_FATHER), log, DAY, ConsentPolicy())
    assert signed(_consent(BY_MOTHER), AGREED, DAY, ConsentPolicy())


def test_what_protects_holds_before_confirmation() -> None:
    """A proposed guardian who is barred or protected stops what a confirmed one would."""
    barred = FATHER.model_copy(update={"barred": True, "access": Access.WRITE})
    log = with_proposed(RelayLog(guardians=(MOTHER, barred)), (barred,))
    assert log.guardians[1].barred
    assert log.guardians[1].access is Access.UNKNOWN
    assert "guardian_barred" in {stop.reason for stop in stops(log, (Service.FAMILY,), DAY, RULES)}


@settings(deadline=None, max_examples=150)
@given(logs(), st.sampled_from(READERS), st.data())
def test_a_proposal_never_opens(log: RelayLog, reader: Service, data: st.DataObject) -> None:
    """Whichever of the guardians are only proposed, nothing opens that would not open were they confirmed."""
    proposed = tuple(one for one in log.guardians if data.draw(st.booleans()))
    if isinstance(opened(with_proposed(log, proposed), reader, DAY, RULES.consent), Opened):
        assert isinstance(opened(log, reader, DAY, RULES.consent), Opened)
