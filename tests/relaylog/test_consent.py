"""Consent: who must sign, which consent counts, and from when to when. What is not known is never yes."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hub.relaylog.codes import ConsentStatus, Part, Residence, Service, SignerRole, SubjectKind
from hub.relaylog.consent import ConsentPolicy, Missing, Opened, opened, signed
from hub.relaylog.gates import parts_open_to
from hub.relaylog.model import Consent, Guardian, RelayLog, Signer, Subject
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
    return opened(_child(consents=consents), Service.PPT, day, POLICY)


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


@pytest.mark.parametrize("status", [ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN])
def test_a_no_without_any_date_is_not_overruled(status: ConsentStatus) -> None:
    """A refusal or withdrawal that bears no date may be the latest word."""
    answer = _asked(_consent(None, status=status), _consent(date(2026, 9, 1), Part.PPT))
    assert answer is (Missing.REFUSED if status is ConsentStatus.REFUSED else Missing.WITHDRAWN)


@pytest.mark.parametrize(
    ("consent", "day", "answer"),
    [
        (_consent(DAY, valid_to=DAY), DAY, Opened(frozenset({Part.EDUCATION}), child_asked=False)),
        (_consent(DAY, valid_to=DAY), DAY + timedelta(days=1), Missing.EXPIRED),
        (_consent(DAY, valid_to=DAY), DAY - timedelta(days=1), Missing.NOT_YET),
        (_consent(None, status=ConsentStatus.EXPIRED), DAY, Missing.EXPIRED),
        (_consent(DAY, status=ConsentStatus.REFUSED), DAY, Missing.REFUSED),
        (_consent(DAY, status=ConsentStatus.PENDING), DAY, Missing.PENDING),
        (_consent(DAY, status=ConsentStatus.UNKNOWN), DAY, Missing.PENDING),
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


def test_nobody_can_consent_to_an_unknown_reader() -> None:
    """A consent whose recipient no list knows opens nothing to a reader whom nobody knows."""
    log = _child(consents=(_consent(DAY, recipient=Service.UNKNOWN),))
    assert opened(log, Service.UNKNOWN, DAY, POLICY) is Missing.NO_CONSENT


@settings(deadline=None, max_examples=150)
@given(logs(), st.sampled_from(READERS))
def test_without_a_consent_nothing_opens(log: RelayLog, reader: Service) -> None:
    """Where no decided consent names a reader, the answer is what is missing, and no part is open, not even contact."""
    without = log.model_copy(update={"consents": tuple(c for c in log.consents if c.recipient is not reader)})
    assert opened(without, reader, DAY, POLICY) is Missing.NO_CONSENT
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
    assert isinstance(answer, Missing) or any(answer.parts <= {*c.parts, Part.EDUCATION} for c in valid)


@settings(deadline=None, max_examples=250)
@given(logs(), st.sampled_from(READERS), st.dates(date(2025, 10, 1), date(2027, 3, 1)), st.integers(1, 400))
def test_days_alone_only_close(log: RelayLog, reader: Service, day: date, days: int) -> None:
    """As long as no consent begins, what is open one day is all that is open on a later one."""
    later = day + timedelta(days=days)
    mine = [consent for consent in log.consents if consent.recipient is reader]
    assume(all(consent.valid_from and not day < consent.valid_from <= later for consent in mine))
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
    assert isinstance(opened(after, withdrawn.recipient, DAY, POLICY), Missing)
