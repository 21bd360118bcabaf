"""The letter to somebody who asked for something by right: what it says of each end, and what it never names."""

from __future__ import annotations

from datetime import date

import pytest

from hub.documents.letter import Letter, Lifting, Longer, Ruled, Told, letter_text
from hub.relaylog.codes import Language
from hub.relaylog.rights import BASES, Basis, RightsDecision, RightsKind

GRANTED, REFUSED = RightsDecision.GRANTED, RightsDecision.REFUSED
ASKS, WHY = "Eg vil ha det vekk.\n\nAlt saman.", "Kommunen må ta vare på loggen."


def _letter(told: Told, kind: RightsKind = RightsKind.DELETION, language: Language = "nb") -> str:
    asked, today = date(2026, 11, 2), date(2026, 11, 20)
    return letter_text(Letter(language, "Fjordvik kommune", today, "sak-1", kind, asked, ASKS, told))


def test_a_refusal_says_what_why_and_how_to_complain() -> None:
    """The whole letter in nynorsk, down to the protection officer, who can be asked after a refusal."""
    told = Ruled(REFUSED, Basis.ARCHIVING, date(2026, 11, 20), WHY)
    assert _letter(told, language="nn") == (
        "Fjordvik kommune\n\n"
        "20. november 2026\nSak: sak-1\n\n"
        "SVAR PÅ KRAVET DITT\n\n"
        "Du bad 2. november 2026 om at ein stafettlogg blir sletta.\n\n"
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
        assert ("November" if language == "en" else "november") in flat
        assert (basis.label(language) in flat) == (basis is not Basis.ARCHIVE_RELEASED)
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


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("nb", "Hjemmel: et vedtak om at arkivplikten er opphevet for denne loggen. Avgjort"),
        ("nn", "Heimel: eit vedtak om at arkivplikta er oppheva for denne loggen. Avgjort"),
        ("en", "The basis in law: a decision that the duty to archive is lifted for this log. Decided"),
    ],
)
def test_a_lifted_duty_to_archive_is_told_without_the_assessment(language: Language, says: str) -> None:
    """Whoever asked never sees the assessment, so that the letter does not point to it."""
    text = " ".join(_letter(Ruled(GRANTED, Basis.ARCHIVE_RELEASED, date(2026, 11, 20), WHY), language=language).split())
    assert says in text
    assert not any(word in text for word in ("(vedtaket", "vurdering", "assessment"))


@pytest.mark.parametrize(
    ("language", "lifts", "stops"),
    [
        ("nb", "Kommunen opphever begrensningen.", "Denne saken stanser ikke lenger deling."),
        ("nn", "Kommunen opphevar avgrensinga.", "Denne saka stansar ikkje lenger deling."),
        ("en", "The municipality lifts the restriction.", "This case no longer stops sharing."),
    ],
)
def test_what_is_lifted_is_told_as_such(language: Language, lifts: str, stops: str) -> None:
    """Lifting what stood is no refusal of a new demand, and the log is not said to be free: others may stop it."""
    on = date(2026, 11, 20)
    for told, kind in (
        (Ruled(REFUSED, Basis.LIFTED, on, WHY), RightsKind.RESTRICTION),
        (Ruled(REFUSED, Basis.RESTRICTION, on, WHY, lifts=True), RightsKind.RESTRICTION),
        (Ruled(REFUSED, Basis.OBJECTION, on, WHY, lifts=True), RightsKind.OBJECTION),
    ):
        assert f"{lifts} {stops}" in " ".join(_letter(told, kind, language).split())
    for kind, basis in ((RightsKind.RESTRICTION, Basis.RESTRICTION), (RightsKind.OBJECTION, Basis.OBJECTION)):
        text = " ".join(_letter(Ruled(REFUSED, basis, on, WHY), kind, language).split())
        assert stops in text
        assert lifts not in text


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("nb", "BEGRENSNINGEN BLIR OPPHEVET|Nå vil kommunen oppheve begrensningen.|sender fortsatt ikke noe"),
        ("nn", "AVGRENSINGA BLIR OPPHEVA|No vil kommunen oppheve avgrensinga.|sender framleis ikkje noko"),
        ("en", "THE RESTRICTION WILL BE LIFTED|will lift the restriction.|still sends nothing"),
    ],
)
def test_that_it_will_be_lifted_is_told_before(language: Language, says: str) -> None:
    """The notice gives the reasons and whom to turn to, and tells of no decision: there is none yet."""
    for kind in (RightsKind.RESTRICTION, RightsKind.OBJECTION):
        text = _letter(Lifting(WHY), kind, language)
        flat = " ".join(text.split())
        assert all(word in flat for word in (*says.split("|"), WHY, "Datatilsynet"))
        assert any(word in flat for word in ("ombu", "ombo", "officer"))
        assert not any(word in flat for word in ("Avgjort", "Decided", "Hjemmel", "Heimel"))
        assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("language", "says"), [("nb", "likevel arkivert"), ("nn", "likevel arkivert"), ("en", "still archived")]
)
def test_a_log_that_is_stopped_is_said_to_be_archived(language: Language, says: str) -> None:
    """Nothing of it is sent, but archiving is a duty: both kinds of case say so."""
    for kind, basis in ((RightsKind.RESTRICTION, Basis.RESTRICTION), (RightsKind.OBJECTION, Basis.OBJECTION)):
        assert says in " ".join(_letter(Ruled(GRANTED, basis, date(2026, 11, 20)), kind, language).split())


def test_what_is_gone_is_left_out() -> None:
    """After a deletion neither the words of the demand nor a heading for reasons stand there."""
    told = Ruled(GRANTED, Basis.DELETION, date(2026, 11, 20))
    letter = Letter("nb", "Fjordvik kommune", told.on, "sak-1", RightsKind.DELETION, told.on, "", told)
    text = letter_text(letter)
    assert "Loggen er slettet" in text
    assert not any(word in text for word in ("skrev vi", "HVORFOR"))
