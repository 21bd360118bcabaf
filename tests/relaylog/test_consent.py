"""Consent: who must sign, which consent counts, and from when to when. What is not known is never yes."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hub.relaylog.codes import (
    BatonAnswer,
    ConsentStatus,
    Part,
    Relation,
    Residence,
    Service,
    SignerRole,
    SubjectKind,
)
from hub.relaylog.consent import (
    ConsentPolicy,
    Missing,
    Opened,
    Refused,
    opened,
    signed,
)
from hub.relaylog.gates import parts_open_to
from hub.relaylog.model import Actor, Consent, Guardian, Handover, RelayLog, Signer, Subject
from tests.relaylog.strategies import DAY, READERS, RULES, logs

POLICY = ConsentPolicy()
MOTHER = Guardian(id="g1", name="Solskinn Testmor", parental_responsibility=True, residence=Residence.TOGETHER)
FATHER = Guardian(id="g2", name="Regnbue Testfar", parental_responsibility=True, residence=Residence.TOGETHER)
BY_MOTHER = Signer(name="solskinn  testmor", role=SignerRole.MOTHER)
BY_FATHER = Signer(name="Regnbue Testfar", role=SignerRole.FATHER)
BY_YOUTH = Signer(name="Skybrudd Testbarn", role=SignerRole.YOUTH)
BASIC = Consent(
    recipient=Service.PPT, status=ConsentStatus.GIVEN, valid_from=date(2026, 9, 1), signed_by=(BY_MOTHER, BY_FATHER)
)


def _apart(guardian: Guardian, residence: Residence, **changes: object) -> Guardian:
    return guardian.model_copy(update={"residence": residence, **changes})


def _born(years: int, days: int = 0) -> Subject:
    """Make a subject who becomes so many years old so many days after the consent begins."""
    begins = date(2026, 9, 1) + timedelta(days=days)
    return Subject(birth_date=begins.replace(year=begins.year - years))


def _child(*guardians: Guardian, subject: Subject | None = None, consents: tuple[Consent, ...] = (BASIC,)) -> RelayLog:
    return RelayLog(subject=subject or _born(9), guardians=guardians or (MOTHER, FATHER), consents=consents)


def _consent(begins: date | None, *parts: Part, **changes: object) -> Consent:
    return BASIC.model_copy(update={"valid_from": begins, "parts": parts, **changes})


def _asked(*consents: Consent, day: date = DAY) -> Opened | Missing:
    return _brief(opened(_child(consents=consents), Service.PPT, day, POLICY))


def _brief(answer: Opened | Refused) -> Opened | Missing:
    return answer if isinstance(answer, Opened) else answer.reason


def _signed(log: RelayLog, *signers: Signer, policy: ConsentPolicy = POLICY) -> bool:
    return signed(BASIC.model_copy(update={"signed_by": signers}), log, date(2026, 9, 1), policy)


@pytest.mark.parametrize(
    ("subject", "signers", "enough"),
    [
        (_born(15, days=1), (BY_MOTHER,), True),
        (_born(15), (BY_MOTHER,), False),
        (_born(15), (BY_YOUTH,), False),
        (_born(15), (BY_MOTHER, BY_YOUTH), True),
        (_born(16, days=1), (BY_YOUTH,), False),
        (_born(16, days=1), (BY_MOTHER, BY_YOUTH), True),
        (_born(16), (BY_YOUTH,), True),
        (_born(16), (BY_MOTHER, BY_FATHER), False),
        (_born(9), (BY_YOUTH,), False),
        (Subject(birth_date=None), (BY_MOTHER,), True),
        (Subject(kind=SubjectKind.YOUTH), (BY_MOTHER,), False),
        (Subject(kind=SubjectKind.YOUTH), (BY_YOUTH,), False),
        (Subject(kind=SubjectKind.YOUTH), (BY_YOUTH, BY_MOTHER), True),
    ],
)
def test_who_signs_follows_the_age(subject: Subject, signers: tuple[Signer, ...], *, enough: bool) -> None:
    """Guardians until the day before 15, together with the youth to the day before 16, then the youth alone."""
    assert _signed(_child(subject=subject), *signers) is enough


def test_the_policy_sets_the_ages() -> None:
    """Another municipality asks the youth from 12 and lets the youth decide alone from 18."""
    policy = ConsentPolicy(youth_also_from=12, youth_alone_from=18)
    assert not _signed(_child(subject=_born(12)), BY_MOTHER, policy=policy)
    assert _signed(_child(subject=_born(17)), BY_MOTHER, BY_YOUTH, policy=policy)
    assert not _signed(_child(subject=_born(17)), BY_YOUTH, policy=policy)


def test_somebody_born_on_a_leap_day_comes_of_age_on_the_first_of_march() -> None:
    """Fifteen years after 29 February the youth must sign from 1 March."""
    log = _child(subject=Subject(birth_date=date(2008, 2, 29)))
    consent = BASIC.model_copy(update={"signed_by": (BY_MOTHER,)})
    assert signed(consent, log, date(2023, 2, 28), POLICY)
    assert not signed(consent, log, date(2023, 3, 1), POLICY)


SHARED = (_apart(MOTHER, Residence.SHARED), _apart(FATHER, Residence.SHARED))


@pytest.mark.parametrize(
    ("guardians", "one", "both"),
    [
        ((MOTHER, FATHER), True, True),
        (SHARED, False, True),
        ((_apart(MOTHER, Residence.WITH_THIS), _apart(FATHER, Residence.WITH_OTHER)), True, True),
        ((_apart(MOTHER, Residence.WITH_OTHER), _apart(FATHER, Residence.WITH_THIS)), False, True),
        ((_apart(MOTHER, Residence.UNKNOWN), _apart(FATHER, Residence.UNKNOWN)), False, True),
        ((_apart(MOTHER, Residence.TOGETHER), _apart(FATHER, Residence.SHARED)), False, True),
        ((MOTHER.model_copy(update={"parental_responsibility": None}), FATHER), False, True),
        ((MOTHER.model_copy(update={"parental_responsibility": False}), FATHER), False, True),
        ((SHARED[0], _apart(FATHER, Residence.SHARED, parental_responsibility=None)), False, False),
        ((SHARED[0], _apart(FATHER, Residence.SHARED, parental_responsibility=False)), True, True),
        ((MOTHER.model_copy(update={"barred": True}), FATHER), False, True),
        ((_apart(MOTHER, Residence.SHARED, barred=True), SHARED[1]), False, False),
        ((_apart(MOTHER, Residence.UNKNOWN),), True, True),
    ],
)
def test_which_guardians_must_sign(guardians: tuple[Guardian, ...], *, one: bool, both: bool) -> None:
    """One is enough only where the child is known to live with that one; unknown is not yes and barred never counts."""
    log = _child(*guardians)
    assert _signed(log, BY_MOTHER) is one
    assert _signed(log, BY_MOTHER, BY_FATHER) is both


def test_who_stands_there_twice_is_barred_where_one_of_the_two_is() -> None:
    """The mother has two ids since an import, and is barred under the refused one: her signature counts no more."""
    again = SHARED[0].model_copy(update={"id": "again", "parental_responsibility": False, "barred": True})
    assert _signed(_child(*SHARED), BY_MOTHER, BY_FATHER)
    assert not _signed(_child(*SHARED, again), BY_MOTHER, BY_FATHER)
    assert _signed(_child(MOTHER, FATHER, again), BY_FATHER)


def test_a_municipality_may_let_one_sign_for_shared_residence() -> None:
    """The policy speaks of shared residence alone: unknown residence still asks everybody."""
    policy = ConsentPolicy(both_when_shared=False)
    assert _signed(_child(*SHARED), BY_MOTHER, policy=policy)
    unknown = (_apart(MOTHER, Residence.UNKNOWN), _apart(FATHER, Residence.UNKNOWN))
    assert not _signed(_child(*unknown), BY_MOTHER, policy=policy)


def test_nobody_without_a_name_has_signed() -> None:
    """A guardian and a signer who both lack a name are not the same person."""
    nameless = MOTHER.model_copy(update={"name": ""})
    assert not _signed(_child(nameless), Signer(name="", role=SignerRole.MOTHER))


def test_only_a_guardian_signs_as_one() -> None:
    """A guardian's name under an unknown role, or a stranger's under a guardian's, is no signature of theirs."""
    assert not _signed(_child(), BY_MOTHER.model_copy(update={"role": SignerRole.UNKNOWN}))
    assert not _signed(_child(), Signer(name="Torden Testnabo", role=SignerRole.MOTHER))


def test_a_pregnant_woman_signs_herself() -> None:
    """For a log about a pregnancy only the woman herself can sign, whatever her age."""
    log = _child(subject=Subject(kind=SubjectKind.PREGNANT, birth_date=date(1996, 1, 1)))
    assert _signed(log, Signer(name="Solskinn Testmor", role=SignerRole.PREGNANT))
    assert not _signed(log, BY_MOTHER, BY_FATHER, BY_YOUTH)


def test_a_consent_without_parts_names_education_alone() -> None:
    """What a consent does not name it does not open."""
    assert _asked(_consent(date(2026, 9, 1))) == Opened(frozenset({Part.EDUCATION}), child_asked=False)


def test_the_latest_consent_counts() -> None:
    """A newer consent replaces an older one, a narrower just like a wider, wherever it stands in the log."""
    wide = _consent(date(2026, 8, 1), Part.EDUCATION, Part.PPT, Part.HEALTH)
    narrow = _consent(date(2026, 10, 1), Part.EDUCATION)
    for both in ((wide, narrow), (narrow, wide)):
        assert _asked(*both) == Opened(frozenset({Part.EDUCATION}), child_asked=False)
        assert _asked(*both, day=date(2026, 9, 30)) == Opened(
            frozenset({Part.EDUCATION, Part.PPT, Part.HEALTH}), child_asked=False
        )


def test_of_the_same_day_the_strictest_counts() -> None:
    """Of two consents of one day only what both open is open, and the child was asked only if in both."""
    first = _consent(DAY, Part.EDUCATION, Part.PPT, child_asked=True)
    second = _consent(DAY, Part.PPT, Part.HEALTH, child_asked=None)
    assert _asked(first, second) == Opened(frozenset({Part.PPT}), child_asked=False)
    assert isinstance(_asked(first, second.model_copy(update={"status": ConsentStatus.REFUSED})), Missing)


WITHDRAWN = _consent(date(2026, 8, 1), Part.PPT, withdrawn_on=date(2026, 10, 10), status=ConsentStatus.WITHDRAWN)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (date(2026, 9, 1), Missing.WITHDRAWN),
        (date(2026, 10, 10), Missing.WITHDRAWN),
        (date(2026, 10, 11), Opened(frozenset({Part.PPT}), child_asked=False)),
        (None, Missing.WITHDRAWN),
    ],
)
def test_a_withdrawal_counts_until_a_later_consent(given: date | None, answer: Opened | Missing) -> None:
    """A withdrawal also stops a consent that began while the withdrawn one stood, but none that began after it."""
    assert _asked(WITHDRAWN, _consent(given, Part.PPT)) == answer


def test_a_withdrawal_counts_from_its_day() -> None:
    """The day before a withdrawal the consent still opens."""
    later = WITHDRAWN.model_copy(update={"status": ConsentStatus.GIVEN})
    assert isinstance(_asked(later, day=date(2026, 10, 9)), Opened)
    assert _asked(later, day=date(2026, 10, 10)) is Missing.WITHDRAWN


def test_withdrawing_what_has_not_begun_counts_too() -> None:
    """Who withdraws the renewal of a consent before it begins has withdrawn."""
    renewal = _consent(DAY + timedelta(days=30), Part.PPT, withdrawn_on=DAY)
    assert _asked(_consent(date(2026, 9, 1), Part.PPT), renewal) is Missing.WITHDRAWN


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (ConsentStatus.REFUSED, Missing.REFUSED),
        (ConsentStatus.WITHDRAWN, Missing.WITHDRAWN),
        (ConsentStatus.UNKNOWN, Missing.UNKNOWN),
    ],
)
def test_a_no_without_any_date_is_not_overruled(status: ConsentStatus, answer: Missing) -> None:
    """A refusal or withdrawal that bears no date may be the latest word, and so may what nobody knows."""
    assert _asked(_consent(None, status=status), _consent(date(2026, 9, 1), Part.PPT)) is answer


@pytest.mark.parametrize(
    ("consent", "day", "answer"),
    [
        (_consent(DAY, valid_to=DAY), DAY, Opened(frozenset({Part.EDUCATION}), child_asked=False)),
        (_consent(DAY, valid_to=DAY), DAY + timedelta(days=1), Missing.EXPIRED),
        (_consent(DAY, valid_to=DAY), DAY - timedelta(days=1), Missing.NOT_YET),
        (_consent(None, status=ConsentStatus.EXPIRED), DAY, Missing.EXPIRED),
        (_consent(DAY, status=ConsentStatus.REFUSED), DAY, Missing.REFUSED),
        (_consent(DAY, status=ConsentStatus.PENDING), DAY, Missing.PENDING),
        (_consent(DAY, status=ConsentStatus.UNKNOWN), DAY, Missing.UNKNOWN),
        (_consent(DAY, signed_by=()), DAY, Missing.SIGNER),
        (_consent(DAY, recipient=Service.SCHOOL), DAY, Missing.NO_CONSENT),
    ],
)
def test_why_a_consent_does_not_open(consent: Consent, day: date, answer: Opened | Missing) -> None:
    """First and last day are open; before, after and otherwise the answer says what is missing."""
    assert _asked(consent, day=day) == answer


def test_a_pending_renewal_does_not_end_a_consent() -> None:
    """Until it is decided, a newer consent changes nothing."""
    pending = _consent(date(2026, 10, 1), status=ConsentStatus.PENDING)
    assert isinstance(_asked(_consent(date(2026, 9, 1)), pending), Opened)


@pytest.mark.parametrize(
    ("begins", "answer"),
    [(date(2026, 9, 2), Missing.UNKNOWN), (date(2026, 9, 1), Missing.UNKNOWN), (date(2026, 8, 31), None)],
)
def test_one_of_which_nobody_knows_closes_what_is_older(begins: date, answer: Missing | None) -> None:
    """It may be a refusal or open less: from its day it counts like any, and until something later has begun."""
    unknown = _consent(begins, status=ConsentStatus.UNKNOWN)
    found = _asked(_consent(date(2026, 9, 1)), unknown)
    assert found is answer if answer else isinstance(found, Opened)


def test_a_withdrawal_without_its_day_ends_its_own_consent_only() -> None:
    """Where a template has no day of withdrawal, a consent that began later is the later word."""
    undated = _consent(date(2026, 9, 1), status=ConsentStatus.WITHDRAWN)
    assert _asked(undated) is Missing.WITHDRAWN
    assert isinstance(_asked(undated, _consent(date(2026, 9, 2))), Opened)
    assert _asked(undated, _consent(date(2026, 8, 31))) is Missing.WITHDRAWN


def test_nobody_can_consent_to_an_unknown_reader() -> None:
    """A consent whose recipient no list knows opens nothing to a reader whom nobody knows."""
    log = _child(consents=(_consent(DAY, recipient=Service.UNKNOWN),))
    assert opened(log, Service.UNKNOWN, DAY, POLICY) == Refused(Missing.NO_CONSENT)


@settings(deadline=None, max_examples=150)
@given(logs(), st.sampled_from(READERS))
def test_without_a_consent_nothing_opens(log: RelayLog, reader: Service) -> None:
    """Where no decided consent names a reader, the answer is what is missing, and no part is open, not even contact."""
    without = log.model_copy(update={"consents": tuple(c for c in log.consents if c.recipient is not reader)})
    assert opened(without, reader, DAY, POLICY) == Refused(Missing.NO_CONSENT)
    assert parts_open_to(without, reader, DAY, RULES) == frozenset()


@settings(deadline=None, max_examples=250)
@given(logs(), st.sampled_from(READERS), st.dates(date(2025, 10, 1), date(2027, 3, 1)))
def test_what_opens_is_named_by_a_valid_consent(log: RelayLog, reader: Service, day: date) -> None:
    """What is open was given by a consent to the reader within its dates, in the parts that it names."""
    answer = opened(log, reader, day, POLICY)
    valid = [
        consent
        for consent in log.consents
        if consent.recipient is reader
        and consent.status is ConsentStatus.GIVEN
        and (consent.valid_from or day) <= day <= (consent.valid_to or day)
        and not (consent.withdrawn_on and consent.withdrawn_on <= day)
        and signed(consent, log, consent.valid_from or day, POLICY)
    ]
    assert isinstance(answer, Refused) or any(answer.parts <= {*c.parts, Part.EDUCATION} for c in valid)


@settings(deadline=None, max_examples=250)
@given(logs(), st.sampled_from(READERS), st.dates(date(2025, 10, 1), date(2027, 3, 1)), st.integers(1, 400))
def test_days_alone_only_close(log: RelayLog, reader: Service, day: date, days: int) -> None:
    """As long as no consent begins, what is open one day is all that is open on a later one."""
    later = day + timedelta(days=days)
    mine = [consent for consent in log.consents if consent.recipient is reader]
    begins = [(consent.valid_from, *(signer.on for signer in consent.signed_by)) for consent in mine]
    assume(all(first and not any(on and day < on <= later for on in (first, *rest)) for first, *rest in begins))
    now, then = opened(log, reader, day, POLICY), opened(log, reader, later, POLICY)
    if isinstance(then, Opened):
        assert isinstance(now, Opened)
        assert then.parts <= now.parts
        assert then.child_asked <= now.child_asked


@settings(deadline=None, max_examples=150)
@given(logs(), st.integers(0, 2))
def test_one_more_no_never_opens(log: RelayLog, at: int) -> None:
    """Whichever consent is withdrawn today, its reader has none today."""
    withdrawn = log.consents[at].model_copy(update={"status": ConsentStatus.WITHDRAWN, "withdrawn_on": DAY})
    after = log.model_copy(update={"consents": (*log.consents[:at], withdrawn, *log.consents[at + 1 :])})
    assert isinstance(opened(after, withdrawn.recipient, DAY, POLICY), Refused)


def _refused(log: RelayLog, reader: Service = Service.PPT, policy: ConsentPolicy = POLICY, day: date = DAY) -> Refused:
    answer = opened(log, reader, day, policy)
    assert isinstance(answer, Refused)
    return answer


MAMA = MOTHER.model_copy(update={"relation": Relation.MOTHER})
PAPA = FATHER.model_copy(update={"relation": Relation.FATHER})
UNSIGNED = BASIC.model_copy(update={"signed_by": ()})


@pytest.mark.parametrize(
    ("guardians", "subject", "signers", "said"),
    [
        ((MAMA, PAPA), _born(9), (), "mor eller far"),
        ((_apart(MAMA, Residence.SHARED), _apart(PAPA, Residence.SHARED)), _born(9), (BY_MOTHER,), "far"),
        ((_apart(MAMA, Residence.UNKNOWN), _apart(PAPA, Residence.UNKNOWN)), _born(9), (), "mor og far"),
        ((MAMA, PAPA), _born(15), (), "ungdommen selv og en foresatt"),
        ((MAMA, PAPA), _born(15), (BY_MOTHER,), "ungdommen selv"),
        ((MAMA, PAPA), _born(16), (BY_MOTHER,), "ungdommen selv"),
        (
            (_apart(MAMA, Residence.SHARED), _apart(PAPA, Residence.SHARED, parental_responsibility=None)),
            _born(9),
            (BY_MOTHER,),
            "en foresatt (foreldreansvaret er ikke avklart)",
        ),
        ((_apart(MAMA, Residence.TOGETHER, parental_responsibility=False),), _born(9), (), "en foresatt"),
        ((MAMA,), Subject(kind=SubjectKind.PREGNANT), (BY_MOTHER,), "den gravide selv"),
    ],
)
def test_who_has_still_to_sign_is_said_by_role(
    guardians: tuple[Guardian, ...], subject: Subject, signers: tuple[Signer, ...], said: str
) -> None:
    """What is missing names roles, whether one is enough, and nobody by name."""
    consent = UNSIGNED.model_copy(update={"signed_by": signers})
    answer = _refused(_child(*guardians, subject=subject, consents=(consent,)))
    assert answer.text("nb") == f"Ikke alle som må samtykke, har gjort det. Må fortsatt samtykke: {said}."


@pytest.mark.parametrize(
    ("consent", "nb", "nn", "en"),
    [
        (
            WITHDRAWN,
            "Samtykket er trukket (siden 10.10.2026).",
            "Samtykket er trekt (sidan 10.10.2026).",
            "The consent was withdrawn (since 2026-10-10).",
        ),
        (
            _consent(date(2026, 8, 1), valid_to=date(2026, 9, 30)),
            "Samtykket har gått ut (siden 01.10.2026).",
            "Samtykket har gått ut (sidan 01.10.2026).",
            "The consent has expired (since 2026-10-01).",
        ),
        (
            _consent(date(2026, 12, 1)),
            "Samtykket gjelder ikke ennå (fra 01.12.2026).",
            "Samtykket gjeld ikkje enno (frå 01.12.2026).",
            "The consent has not begun (from 2026-12-01).",
        ),
    ],
)
def test_since_when_is_said(consent: Consent, nb: str, nn: str, en: str) -> None:
    """A refusal says from which day, in the three languages."""
    answer = _refused(_child(consents=(consent,)))
    assert (answer.text("nb"), answer.text("nn"), answer.text("en")) == (nb, nn, en)


def test_a_signature_counts_from_its_day() -> None:
    """Somebody who signs tomorrow has not signed today."""
    late = BY_MOTHER.model_copy(update={"on": DAY + timedelta(days=1)})
    log = _child(MOTHER, consents=(_consent(date(2026, 9, 1), signed_by=(late,)),))
    assert _refused(log).reason is Missing.SIGNER
    assert isinstance(opened(log, Service.PPT, DAY + timedelta(days=1), POLICY), Opened)


EIGHTEEN = Subject(birth_date=date(2008, 11, 20))


def test_on_the_eighteenth_birthday_a_guardians_consent_ends() -> None:
    """What the guardians signed stops on the very day, and what the youth signed goes on."""
    by_both = _consent(date(2024, 1, 1), Part.PPT, signed_by=(BY_MOTHER, BY_YOUTH))
    by_guardian = _consent(date(2023, 1, 1), Part.PPT, signed_by=(BY_MOTHER,))
    eve = DAY - timedelta(days=1)
    for consent, goes_on in ((by_both, True), (by_guardian, False)):
        log = _child(subject=EIGHTEEN, consents=(consent,))
        assert isinstance(opened(log, Service.PPT, eve, POLICY), Opened)
        assert isinstance(opened(log, Service.PPT, DAY, POLICY), Opened) is goes_on
    answer = _refused(_child(subject=EIGHTEEN, consents=(by_guardian,)))
    assert (answer.reason, answer.since, answer.to_sign.text("nn")) == (Missing.SIGNER, DAY, "ungdomen sjølv")


def test_on_the_eighteenth_birthday_the_family_stops_reading() -> None:
    """The family reads on only by a consent that the person gives as an adult."""
    before = _consent(date(2024, 12, 1), recipient=Service.FAMILY, signed_by=(BY_YOUTH,))
    log = _child(subject=EIGHTEEN, consents=(before,))
    assert isinstance(opened(log, Service.FAMILY, DAY - timedelta(days=1), POLICY), Opened)
    assert _refused(log, Service.FAMILY).to_sign.text("en") == "the young person"
    anew = before.model_copy(update={"valid_from": DAY})
    assert isinstance(opened(_child(subject=EIGHTEEN, consents=(before, anew)), Service.FAMILY, DAY, POLICY), Opened)


def test_a_consent_without_an_end_lasts_as_long_as_the_policy_says() -> None:
    """After so many months it has expired, on that very day; its own end counts before the policy's."""
    policy = ConsentPolicy(months=6)
    begun = date(2026, 8, 31)
    log = _child(consents=(_consent(begun),))
    assert isinstance(opened(log, Service.PPT, date(2027, 2, 27), policy), Opened)
    assert _refused(log, policy=policy, day=date(2027, 2, 28)) == Refused(Missing.EXPIRED, date(2027, 2, 28))
    longer = _child(consents=(_consent(begun, valid_to=date(2028, 1, 1)),))
    assert isinstance(opened(longer, Service.PPT, date(2027, 12, 1), policy), Opened)
    undated = _child(consents=(_consent(None),))
    assert _refused(undated, policy=policy).reason is Missing.EXPIRED


KINDERGARTEN = Actor(name="Vindstille Testlærer", service=Service.KINDERGARTEN, unit="Tirilltoppen")
PASSED_ON = Handover(
    from_holder=KINDERGARTEN,
    to_holder=Actor(name="Torden Testlærer", service=Service.SCHOOL),
    answer=BatonAnswer.ACCEPTED,
    answered_on=date(2026, 10, 1),
)


@pytest.mark.parametrize(
    ("handover", "ends"),
    [
        (PASSED_ON, True),
        (PASSED_ON.model_copy(update={"answered_on": None}), True),
        (PASSED_ON.model_copy(update={"answered_on": date(2026, 8, 1)}), False),
        (PASSED_ON.model_copy(update={"answered_on": date(2026, 12, 1)}), False),
        (PASSED_ON.model_copy(update={"answer": BatonAnswer.OFFERED}), False),
        (PASSED_ON.model_copy(update={"from_holder": None}), False),
        (PASSED_ON.model_copy(update={"to_holder": KINDERGARTEN.model_copy(update={"name": "Regnbue"})}), False),
        (PASSED_ON.model_copy(update={"to_holder": KINDERGARTEN.model_copy(update={"unit": "Solbakken"})}), True),
    ],
)
def test_a_transition_asks_for_a_new_consent(handover: Handover, *, ends: bool) -> None:
    """Where the policy says so, an accepted baton in another service or unit ends what was consented to before."""
    log = _child().model_copy(update={"handovers": (handover,)})
    assert isinstance(opened(log, Service.PPT, DAY, POLICY), Opened)
    answer = opened(log, Service.PPT, DAY, ConsentPolicy(renew_at_transition=True))
    assert isinstance(answer, Refused) is ends
    if isinstance(answer, Refused):
        assert (answer.reason, answer.transition, answer.since) == (Missing.EXPIRED, True, handover.answered_on)
        assert "because another service or unit" in answer.text("en")
        anew = log.model_copy(update={"consents": (*log.consents, _consent(date(2026, 10, 1), Part.PPT))})
        renewed = opened(anew, Service.PPT, DAY, ConsentPolicy(renew_at_transition=True))
        assert isinstance(renewed, Opened) is (handover.answered_on is not None)


def test_the_line_of_consents_is_unbroken() -> None:
    """A renewal carries on from where its forerunner began; after a gap or a withdrawal the line begins anew."""
    first = _consent(date(2025, 9, 1), Part.EDUCATION, valid_to=date(2026, 8, 31))
    second = _consent(date(2026, 9, 1), Part.EDUCATION, Part.PPT)
    answer = _asked(first, second)
    assert isinstance(answer, Opened)
    assert answer.since(lambda stood: Part.EDUCATION in stood.parts) == date(2025, 9, 1)
    assert answer.since(lambda stood: Part.PPT in stood.parts) == date(2026, 9, 1)
    gap = _asked(first.model_copy(update={"valid_to": date(2026, 8, 30)}), second)
    assert isinstance(gap, Opened)
    assert gap.since(lambda stood: Part.EDUCATION in stood.parts) == date(2026, 9, 1)
