"""The letter to somebody who asked for something by right: what it says of each end, and what it never names."""

from __future__ import annotations

from datetime import date

import pytest

from hub.documents.letter import Letter, Longer, Ruled, letter_text
from hub.relaylog.codes import Language
from hub.relaylog.rights import BASES, Basis, RightsDecision, RightsKind

GRANTED, REFUSED = RightsDecision.GRANTED, RightsDecision.REFUSED
ASKS, WHY = "Eg vil ha det vekk.\n\nAlt saman.", "Kommunen må ta vare på loggen."


def _letter(told: Ruled | Longer, kind: RightsKind = RightsKind.DELETION, language: Language = "nb") -> str:
    asked, today = date(2026, 11, 2), date(2026, 11, 20)
    return letter_text(Letter(language, "Fjordvik kommune", today, "sak-1", kind, asked, ASKS, told))


def test_a_refusal_says_what_why_and_how_to_complain() -> None:
    """The whole letter in nynorsk, down to the protection officer, who can be asked after a refusal."""
    told = Ruled(REFUSED, Basis.ARCHIVING, date(2026, 11, 20), WHY)
    assert _letter(told, language="nn") == (
        "Fjordvik kommune\n\n"
        "20. november 2026\nSak: sak-1\n\n"
        "SVAR PÅ KRAVET DITT\n\n"
        "Du kravde 2. november 2026 at ein stafettlogg blir sletta.\n\n"
        "Slik skreiv vi det ned:\n\n"
        "  Eg vil ha det vekk.\n\n"
        "  Alt saman.\n\n"
        "Kommunen har avslått kravet. Loggen blir ikkje sletta no.\n\n"
        "Heimel: GDPR art. 17 nr. 3 d. Avgjort 20. november 2026.\n\n"
        "KVIFOR\n\n"
        "Kommunen må ta vare på loggen.\n\n"
        "ER DU USAMD?\n\n"
        "Du kan klage til Datatilsynet (datatilsynet.no), og du kan få saka prøvd for\ndomstolane.\n\n"
        "Du kan også spørje personvernombodet i kommunen.\n"
    )


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
@pytest.mark.parametrize(("kind", "decision"), list(BASES))
def test_every_decision_has_a_letter(language: Language, kind: RightsKind, decision: RightsDecision) -> None:
    """Each names its basis, its days and Datatilsynet, in lines that fit a page; the officer is for refusals."""
    for basis in BASES[kind, decision]:
        text = _letter(Ruled(decision, basis, date(2026, 11, 20), WHY), kind, language)
        flat = " ".join(text.split())
        assert all(word in flat for word in (basis.label(language), "November" if language == "en" else "november"))
        assert "Datatilsynet" in flat
        assert ("ombu" in flat or "ombo" in flat or "officer" in flat) == (decision is REFUSED)
        assert max(map(len, text.splitlines())) <= 80
        assert "{" not in text


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_more_time_is_told_with_its_day_and_each_reason(language: Language) -> None:
    """Both reasons of a term that was extended twice stand there, and nothing of a decision."""
    text = _letter(Longer(date(2027, 2, 2), ("Mange system.", "Ferie.")), RightsKind.ACCESS, language)
    day = "2 February 2027" if language == "en" else "2. februar 2027"
    assert all(word in " ".join(text.split()) for word in (day, "12", "Mange system. Ferie.", "Datatilsynet"))
    assert not any(word in text for word in ("Avgjort", "Decided", "Hjemmel", "Heimel"))


def test_a_restriction_that_is_lifted_is_told_as_such() -> None:
    """Lifting one that stood is no refusal of a new demand."""
    text = _letter(Ruled(REFUSED, Basis.LIFTED, date(2026, 11, 20), WHY), RightsKind.RESTRICTION)
    assert "opphever begrensningen" in text
    assert "avslått" not in text


def test_what_is_gone_is_left_out() -> None:
    """After a deletion neither the words of the demand nor a heading for reasons stand there."""
    told = Ruled(GRANTED, Basis.DELETION, date(2026, 11, 20))
    letter = Letter("nb", "Fjordvik kommune", told.on, "sak-1", RightsKind.DELETION, told.on, "", told)
    text = letter_text(letter)
    assert "Loggen er slettet" in text
    assert not any(word in text for word in ("skrev vi", "HVORFOR"))
