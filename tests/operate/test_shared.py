"""What the child or a guardian is told: who got what and by which consent, what is not known, and nothing hidden."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from io import BytesIO

import pytest
from pypdf import PdfReader

from hub.documents.shared import Audience, GivenConsent, SharedPage, shared_pdf, shared_text
from hub.operate.sendings import Basis, Outcome, Sending
from hub.operate.shared import SpecialRule, shared_page
from hub.relaylog.codes import AddressProtection, Language, Part, Service, SignerRole
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules
from hub.relaylog.model import Actor, Guardian, RelayLog, Signer
from hub.relaylog.sharing import Sharing
from hub.store.tables import DeliveryKind
from tests.documents.worked import LOG_ID, TODAY, consent, worked_log

_SPRING, _AUTUMN = date(2026, 3, 5), date(2026, 9, 5)
_YES = GivenConsent(Service.PPT, (SignerRole.MOTHER,), date(2026, 3, 1), None, None)


def _sending(day: date, reader: Service = Service.PPT, basis: Basis = Basis.AT_MOST) -> Sending:
    parts = frozenset({Part.EDUCATION})
    return Sending(
        "d1", LOG_ID, LOG_ID, "900001002/ppt", DeliveryKind.UPDATE, datetime.combine(day, time(8), UTC),
        Outcome.RECEIVED, frozenset({reader}), parts, parts, basis, 2,
    )  # fmt: skip


def _page(
    *sendings: Sending, log: RelayLog | None = None, audience: Audience = "guardian", language: Language = "nb"
) -> SharedPage:
    return shared_page(
        log or worked_log(),
        sendings,
        audience,
        municipality="Oppdiktet kommune",
        today=TODAY,
        rules=Rules(Sharing(), ConsentPolicy()),
        language=language,
    )


def test_sendings_that_say_the_same_are_one_line_with_their_first_and_last_day() -> None:
    """Two of the same parts to the same readers are told once, with the consent that stood."""
    (line,) = _page(_sending(_AUTUMN), _sending(_SPRING)).shared
    assert (line.first, line.last, line.times, line.at_most) == (_SPRING, _AUTUMN, 2, True)
    assert (line.readers, line.parts, line.consents) == ((Service.PPT,), (Part.EDUCATION,), (_YES,))


def test_a_kept_view_is_told_as_it_was_and_an_older_sending_as_at_most() -> None:
    """The page never claims to know exactly what it does not."""
    text = shared_text(_page(_sending(_SPRING), _sending(_AUTUMN, basis=Basis.KEPT)))
    assert "Hva: høyst: Barnehage og skole" in text
    assert "Hva: Barnehage og skole" in text
    assert "ikke nøyaktig hva som ble sendt" in " ".join(text.split())


def test_what_may_not_have_arrived_is_told_and_what_was_refused_is_not() -> None:
    """A lost answer is said to be one; a sending that the receiver did not take in reached nobody."""
    lost = replace(_sending(_SPRING), outcome=Outcome.UNCERTAIN)
    refused = replace(_sending(_AUTUMN), outcome=Outcome.REFUSED)
    page = _page(lost, refused)
    assert [line.first for line in page.shared] == [_SPRING]
    assert "Vi vet ikke om det kom fram." in shared_text(page)


def test_the_archive_got_all_of_it_by_duty_and_a_gone_system_is_not_known() -> None:
    """Neither has readers; the page says which is which."""
    archive = replace(_sending(_SPRING), readers=frozenset(), basis=Basis.WHOLE, kind=DeliveryKind.ARCHIVE)
    gone = replace(_sending(_AUTUMN), readers=frozenset(), parts=frozenset(), basis=Basis.UNKNOWN)
    text = shared_text(_page(archive, gone))
    assert "Hvem: Kommunens arkiv" in text
    assert "Hva: Hele loggen" in text
    assert "Hvem: Et system som ikke er i bruk lenger" in text
    assert "Hva: Vet vi ikke" in text


def test_a_guardian_is_told_of_child_welfare_only_where_a_guardian_said_yes() -> None:
    """Without that consent neither the sending nor a holder there is on the page; the child's own page has both."""
    at_welfare = _sending(_SPRING, Service.CHILD_WELFARE)
    holder = Actor(name="Rognebær Testrådgjevar", service=Service.CHILD_WELFARE)
    youth = (Signer(name="Solskinn Testbarn", role=SignerRole.YOUTH),)
    hidden = worked_log(holder=holder, consents=(consent(Service.CHILD_WELFARE, Part.EDUCATION, signed_by=youth),))
    assert _page(at_welfare, log=hidden).shared == ()
    assert "arnevern" not in shared_text(_page(at_welfare, log=hidden))
    assert "Rognebær" not in shared_text(_page(at_welfare, log=hidden))
    assert "Barneverntjenesten" in shared_text(_page(at_welfare, log=hidden, audience="child"))
    known = worked_log(consents=(consent(Service.CHILD_WELFARE, Part.EDUCATION),))
    assert "Barneverntjenesten" in shared_text(_page(at_welfare, log=known))


def test_among_several_readers_a_hidden_one_is_left_out() -> None:
    """Who reads beside child welfare is told, and child welfare is not."""
    both = replace(_sending(_SPRING), readers=frozenset({Service.SCHOOL, Service.CHILD_WELFARE}))
    (line,) = _page(both).shared
    assert line.readers == (Service.SCHOOL,)


@pytest.mark.parametrize("rule", ["barred", "violence", "protected"])
def test_a_special_rule_keeps_the_page_from_a_guardian_and_not_from_the_child(rule: str) -> None:
    """A barred guardian, a mark of violence or a protected address: a person decides, and the rule is not named."""
    barred = Guardian(id="g2", name="Utestengt Testfar", barred=True)
    protected = worked_log().subject.model_copy(update={"address_protection": AddressProtection.CONFIDENTIAL})
    log = {
        "barred": worked_log(guardians=(barred,)),
        "violence": worked_log(violence=True),
        "protected": worked_log(subject=protected),
    }[rule]
    with pytest.raises(SpecialRule, match="særskilt regel") as caught:
        _page(log=log)
    assert rule not in str(caught.value)
    assert _page(log=log, audience="child").name == "Solskinn Testbarn"


def test_the_consent_is_the_one_that_stood_on_the_day() -> None:
    """A newer one counts from its first day, a withdrawn one until it was withdrawn; without any the page says so."""
    old = consent(Service.PPT, Part.EDUCATION, withdrawn_on=date(2026, 6, 1))
    new = consent(Service.PPT, Part.EDUCATION, valid_from=date(2026, 8, 1), valid_to=date(2026, 8, 31))
    log = worked_log(consents=(old, new))
    days = (_SPRING, date(2026, 7, 1), date(2026, 8, 5), _AUTUMN)
    found = {line.first: line.consents for line in _page(*map(_sending, days), log=log).shared}
    assert found[_SPRING][0].withdrawn_on == date(2026, 6, 1)
    assert found[date(2026, 8, 5)][0].until == date(2026, 8, 31)
    assert found[date(2026, 7, 1)] == ()
    assert "Vi finner ikke samtykket" in shared_text(_page(_sending(_AUTUMN), log=log))


def test_no_one_but_the_child_and_the_holder_is_named() -> None:
    """Those who signed stand by what they are to the child; no unit, no address, no text of the log."""
    text = shared_text(_page(_sending(_SPRING)))
    assert "PPT: Mor, fra 1. mars 2026" in text
    for absent in ("Testmor", "Tussebu", "Oppdikta veg", "Leikegruppe", "10915596784"):
        assert absent not in text


@pytest.mark.parametrize(
    ("language", "audience", "word"),
    [
        ("nb", "child", "Er du 15 år eller mer, er du selv med"),
        ("nn", "child", "Er du 15 år eller meir, er du sjølv med"),
        ("en", "child", "If you are 15 or more"),
        ("nb", "guardian", "Du kan trekke et samtykke når som helst"),
        ("nn", "guardian", "Du kan trekkje eit samtykke når som helst"),
        ("en", "guardian", "You can withdraw a consent at any time"),
    ],
)
def test_the_page_says_how_to_say_no_in_each_language(language: Language, audience: Audience, word: str) -> None:
    """As PDF of one page and as text alike, in the words of whom it is for."""
    page = _page(_sending(_SPRING), language=language, audience=audience)
    reader = PdfReader(BytesIO(shared_pdf(page)))
    assert len(reader.pages) == 1
    assert word in " ".join(reader.pages[0].extract_text().split())
    text = shared_text(page)
    assert word in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_a_log_that_went_nowhere_says_so() -> None:
    """Then there is no table, and still how to say no."""
    text = shared_text(_page())
    assert "Stafetthub har ikke sendt noe" in text
    assert "SLIK SIER DU NEI" in text
