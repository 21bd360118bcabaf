"""Presets: what municipalities have published about who consents, and that single values override it."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

from hub.relaylog.codes import ConsentStatus, Part, Residence, Service, SignerRole
from hub.relaylog.consent import ConsentPolicy, Opened, opened
from hub.relaylog.model import Consent, Guardian, RelayLog, Signer, Subject
from hub.relaylog.presets import PRESETS, PresetName

BEGUN = date(2026, 9, 1)
MOTHER = Guardian(id="g1", name="Solskinn Testmor", parental_responsibility=True, residence=Residence.TOGETHER)
BY = {
    "mother": Signer(name="Solskinn Testmor", role=SignerRole.MOTHER),
    "youth": Signer(name="Skybrudd Testbarn", role=SignerRole.YOUTH),
}


def _opens(preset: PresetName, age: int, *signers: str) -> bool | frozenset[Part]:
    """Ask what a consent to education and health opens, signed by these: all of it, nothing, or the parts."""
    parts = (Part.EDUCATION, Part.HEALTH)
    consent = Consent(
        recipient=Service.PPT,
        status=ConsentStatus.GIVEN,
        valid_from=BEGUN,
        parts=parts,
        signed_by=tuple(BY[name] for name in signers),
    )
    subject = Subject(birth_date=BEGUN.replace(year=BEGUN.year - age))
    log = RelayLog(subject=subject, guardians=(MOTHER,), consents=(consent,))
    answer = opened(log, Service.PPT, BEGUN, ConsentPolicy.model_validate({"preset": preset}))
    if not isinstance(answer, Opened):
        return False
    return answer.parts == frozenset(parts) or answer.parts


@pytest.mark.parametrize(
    ("preset", "age", "signers", "opens"),
    [
        ("hustadvika", 14, ("mother",), True),
        ("hustadvika", 15, ("mother",), False),
        ("hustadvika", 15, ("youth",), False),
        ("hustadvika", 17, ("mother", "youth"), True),
        ("hustadvika", 16, ("youth",), frozenset({Part.HEALTH})),
        ("hustadvika", 18, ("youth",), True),
        ("sogndal", 15, ("mother",), False),
        ("sogndal", 16, ("youth",), False),
        ("sogndal", 16, ("mother", "youth"), True),
        ("oygarden", 15, ("mother",), True),
        ("oygarden", 15, ("youth",), False),
        ("oygarden", 16, ("youth",), True),
        ("oygarden", 16, ("mother",), False),
        ("tysver", 14, ("mother",), True),
        ("tysver", 15, ("youth",), True),
        ("tysver", 15, ("mother",), False),
        ("standard", 15, ("mother", "youth"), True),
        ("standard", 16, ("youth",), True),
    ],
)
def test_municipalities_differ(
    preset: PresetName, age: int, signers: tuple[str, ...], opens: bool | frozenset[Part]
) -> None:
    """The same signatures open in one municipality, open health alone in another, and nothing in a third."""
    assert _opens(preset, age, *signers) == opens


@pytest.mark.parametrize("preset", list(PRESETS))
def test_each_preset_has_a_source(preset: PresetName) -> None:
    """Each preset says where it stands and is a policy."""
    assert len(PRESETS[preset].source) > 20
    assert ConsentPolicy.model_validate({"preset": preset}).preset == preset


def test_a_single_value_overrides_the_preset() -> None:
    """A value written beside the preset counts, and the rest stays as the preset has it."""
    policy = ConsentPolicy.model_validate({"preset": "hustadvika", "health_alone_from": "17"})
    assert (policy.health_alone_from, policy.youth_alone_from, policy.renew_at_transition) == (17, 18, True)


def test_an_unknown_preset_is_refused() -> None:
    """A misspelt municipality is no policy."""
    with pytest.raises(ValidationError):
        ConsentPolicy.model_validate({"preset": "nowhere"})


def test_nobody_waits_for_a_guardian_after_eighteen() -> None:
    """A policy that lets guardians sign for an adult is refused."""
    with pytest.raises(ValidationError):
        ConsentPolicy(youth_alone_from=19)


def test_the_basis_stands_beside_the_consent() -> None:
    """What the municipality processes a log on is dated with the policy, complete or not there, and opens nothing."""
    basis = {"article_6": "6 (1) e", "article_9": "9 (2) h", "national_law": "oppdiktet lov § 1"}
    policy = ConsentPolicy.model_validate({"legal_basis": basis})
    assert policy.legal_basis is not None
    assert policy.legal_basis.model_dump() == basis
    assert ConsentPolicy().legal_basis is None
    assert not isinstance(opened(RelayLog(), Service.PPT, BEGUN, policy), Opened)
    with pytest.raises(ValidationError):
        ConsentPolicy.model_validate({"legal_basis": {"article_6": "6 (1) e"}})
