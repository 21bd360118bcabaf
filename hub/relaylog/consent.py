"""Whether a consent opens a log to a reader on a day, and which parts it names.

A consent releases from confidentiality towards one service, in named parts, within its dates. It is not the basis in
the GDPR: that is the municipality's own, dated beside it. Who must sign follows the age on the day the consent began
and the municipality's policy. The answer is a value that says what is missing, in words without any name.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hub.relaylog.answers import Answer
from hub.relaylog.codes import (
    BatonAnswer,
    ConsentStatus,
    Language,
    Part,
    Relation,
    Residence,
    Service,
    SignerRole,
    SubjectKind,
)
from hub.relaylog.model import Consent, Guardian, Handover, RelayLog, Signer
from hub.relaylog.months import months_on
from hub.relaylog.presets import PRESETS, PresetName

MAJORITY = 18
"""The age in whole years from which nobody signs or reads in another's place (vergemålsloven § 8)."""


class LegalBasis(BaseModel):
    """What the municipality processes a log on, as documents cite it: consent only releases from confidentiality."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    article_6: str
    article_9: str
    national_law: str


class ConsentPolicy(BaseModel):
    """Who must sign, and how long it lasts. Ages in whole years on the day the consent begins.

    `preset` names a municipality's published rules; a value that is given beside it counts before the preset's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: PresetName = "standard"
    youth_also_from: int = 15
    youth_alone_from: int = Field(default=16, le=MAJORITY)
    health_alone_from: int | None = None
    """From when the youth alone may release health's part, and that part only; None: never."""
    both_when_shared: bool = True
    renew_at_transition: bool = False
    """Whether a consent ends when another service or unit takes the baton."""
    months: int | None = Field(default=None, ge=1)
    """How long a consent without an end lasts; None: until it is withdrawn."""
    legal_basis: LegalBasis | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("preset") in PRESETS:
            return {**PRESETS[given["preset"]].values, **given}
        return given


class Missing(Answer):
    """Why a consent does not open the log."""

    NO_CONSENT = "no_consent", "Ingen har samtykket", "Ingen har samtykt", "Nobody has consented"
    PENDING = "consent_pending", "Samtykket er ikke avgjort", "Samtykket er ikkje avgjort", "The consent is undecided"
    REFUSED = "consent_refused", "Samtykke er nektet", "Samtykke er nekta", "Consent was refused"
    WITHDRAWN = "consent_withdrawn", "Samtykket er trukket", "Samtykket er trekt", "The consent was withdrawn"
    EXPIRED = "consent_expired", "Samtykket har gått ut", "Samtykket har gått ut", "The consent has expired"
    UNKNOWN = (
        "consent_unknown", "Ingen vet om samtykket står ved lag", "Ingen veit om samtykket står ved lag",
        "Nobody knows whether the consent stands",
    )  # fmt: skip
    NOT_YET = (
        "consent_not_begun", "Samtykket gjelder ikke ennå", "Samtykket gjeld ikkje enno", "The consent has not begun"
    )  # fmt: skip
    SIGNER = (
        "signer_missing", "Ikke alle som må samtykke, har gjort det", "Ikkje alle som må samtykkje, har gjort det",
        "Not everybody who must consent has",
    )  # fmt: skip


class Needed(Answer):
    """Who has still to sign, by role and never by name, or what must be known first."""

    MOTHER = "mother", "mor", "mor", "the mother"
    FATHER = "father", "far", "far", "the father"
    CO_MOTHER = "co_mother", "medmor", "medmor", "the co-mother"
    LEGAL_GUARDIAN = "legal_guardian", "verge", "verje", "the legal guardian"
    GUARDIAN = "guardian", "en foresatt", "ein føresett", "a guardian"
    YOUTH = "youth", "ungdommen selv", "ungdomen sjølv", "the young person"
    PREGNANT = "pregnant", "den gravide selv", "den gravide sjølv", "the pregnant woman"
    RESPONSIBILITY = (
        "responsibility", "en foresatt (foreldreansvaret er ikke avklart)",
        "ein føresett (foreldreansvaret er ikkje avklart)", "a guardian (parental responsibility is not known)",
    )  # fmt: skip


@dataclass(frozen=True)
class StillToSign:
    """Who has still to sign. `any_one` tells that one of them is enough."""

    who: tuple[Needed, ...] = ()
    any_one: bool = False

    def text(self, language: Language) -> str:
        """Return the roles as words."""
        either, both = {"nb": ("eller", "og"), "nn": ("eller", "og"), "en": ("or", "and")}[language]
        *first, last = (needed.label(language) for needed in self.who)
        return f"{', '.join(first)} {either if self.any_one else both} {last}" if first else last


@dataclass(frozen=True)
class Refused:
    """That no consent opens the log to a reader, and what is missing.

    `since` is the day from which, or for a consent that has not begun, the day on which it begins. `transition` tells
    that the consent ended because another service or unit took over.
    """

    reason: Missing
    since: date | None = None
    to_sign: StillToSign = StillToSign()
    transition: bool = False

    def text(self, language: Language) -> str:
        """Return in plain words what is missing. Names nobody."""
        words = _WORDS[language]
        told = self.reason.label(language)
        if self.since:
            day = f"{self.since:%Y-%m-%d}" if language == "en" else f"{self.since:%d.%m.%Y}"
            told += f" ({words['from' if self.reason is Missing.NOT_YET else 'since']} {day})"
        if self.transition:
            told += f", {words['transition']}"
        if self.to_sign.who:
            told += f". {words['to_sign']}: {self.to_sign.text(language)}"
        return f"{told}."


_WORDS: dict[Language, dict[str, str]] = {
    "nb": {
        "since": "siden",
        "from": "fra",
        "to_sign": "Må fortsatt samtykke",
        "transition": "fordi loggen har gått over til en annen tjeneste eller enhet",
    },
    "nn": {
        "since": "sidan",
        "from": "frå",
        "to_sign": "Må framleis samtykkje",
        "transition": "fordi loggen har gått over til ei anna teneste eller eining",
    },
    "en": {
        "since": "since",
        "from": "from",
        "to_sign": "Still to consent",
        "transition": "because another service or unit has taken over the log",
    },
}


@dataclass(frozen=True)
class Opened:
    """The parts that a valid consent names to a reader, and whether the child was asked.

    `only_named`: no part beyond the named ones is open, whatever the sharing rules say. `begins` is the day the consent
    began (None: not known), and `before` what stood the day before that, in an unbroken line.
    """

    parts: frozenset[Part]
    child_asked: bool
    only_named: bool = False
    begins: date | None = field(default=None, compare=False)
    before: Opened | None = field(default=None, compare=False)

    def since(self, opens: Callable[[Opened], bool]) -> date | None:
        """Return from when without a break what `opens` asks for has been open; it is open now."""
        if self.before is not None and opens(self.before):
            return self.before.since(opens)
        return self.begins


GUARDIAN_ROLES = frozenset({SignerRole.MOTHER, SignerRole.FATHER, SignerRole.CO_MOTHER, SignerRole.LEGAL_GUARDIAN})
DECIDED = frozenset({ConsentStatus.GIVEN, ConsentStatus.WITHDRAWN, ConsentStatus.EXPIRED, ConsentStatus.REFUSED})
_OF_RELATION = {
    Relation.MOTHER: Needed.MOTHER,
    Relation.FATHER: Needed.FATHER,
    Relation.CO_MOTHER: Needed.CO_MOTHER,
    Relation.LEGAL_GUARDIAN: Needed.LEGAL_GUARDIAN,
}


def opened(log: RelayLog, reader: Service, day: date, policy: ConsentPolicy) -> Opened | Refused:
    """Return what consent opens to a reader on a day, or what is missing.

    The latest decided consent counts, so that a narrower one replaces what went before; among several of the same day
    only what all of them open. A withdrawal counts until a consent that began after it; one without any date, like an
    undated refusal, may be the latest word and always counts. So does one of which nobody knows whether it stands, from
    the day it began: it opens nothing, and nothing older is open beside it. A consent without named parts names
    `education` alone. An unknown reader is nobody that a consent could name.
    """
    mine = [consent for consent in log.consents if consent.recipient is reader and reader is not Service.UNKNOWN]
    decided = [consent for consent in mine if consent.status is not ConsentStatus.PENDING]
    if not decided:
        return Refused(Missing.PENDING if mine else Missing.NO_CONSENT)
    begun = [consent for consent in decided if _begun(consent, day)] or decided
    latest = max(consent.valid_from or date.min for consent in begun)
    newest = [
        consent
        for consent in decided
        if (consent in begun and (consent.valid_from or date.min) == latest)
        or _withdrawn_since(consent, latest, day)
        or _ended_some_day(consent)
    ]
    answers = [_standing(consent, log, day, policy) for consent in newest]
    refusals = [answer for answer in answers if isinstance(answer, Refused)]
    if refusals:
        return refusals[0]
    openings = [answer for answer in answers if isinstance(answer, Opened)]
    begins = max((begin for consent in newest if (begin := _begins(consent))), default=None)
    return Opened(
        frozenset.intersection(*(opening.parts for opening in openings)),
        all(opening.child_asked for opening in openings),
        any(opening.only_named for opening in openings),
        begins,
        _before(log, reader, latest, policy),
    )


def _before(log: RelayLog, reader: Service, latest: date, policy: ConsentPolicy) -> Opened | None:
    """Return what stood the day before the latest consent began."""
    answer = opened(log, reader, latest - timedelta(days=1), policy) if latest > date.min else None
    return answer if isinstance(answer, Opened) else None


def _begins(consent: Consent) -> date | None:
    """Return the day a consent began: its own, else that of the last signature."""
    return consent.valid_from or max((signer.on for signer in consent.signed_by if signer.on), default=None)


def _begun(consent: Consent, day: date) -> bool:
    return consent.valid_from is None or consent.valid_from <= day


def _withdrawn_since(consent: Consent, latest: date, day: date) -> bool:
    return consent.withdrawn_on is not None and latest <= consent.withdrawn_on <= day


def _ended_some_day(consent: Consent) -> bool:
    """Tell whether a refusal or withdrawal, or what nobody knows not to be one, bears no date at all."""
    ended = consent.status in (ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN, ConsentStatus.UNKNOWN)
    return ended and consent.valid_from is None and consent.withdrawn_on is None


def _standing(consent: Consent, log: RelayLog, day: date, policy: ConsentPolicy) -> Opened | Refused:
    if consent.status is ConsentStatus.REFUSED:
        return Refused(Missing.REFUSED, consent.valid_from)
    if consent.status is ConsentStatus.UNKNOWN:
        return Refused(Missing.UNKNOWN)
    if consent.status is ConsentStatus.WITHDRAWN or (consent.withdrawn_on and consent.withdrawn_on <= day):
        return Refused(Missing.WITHDRAWN, consent.withdrawn_on)
    last = _last_day(consent, policy)
    if consent.status is ConsentStatus.EXPIRED or (last and last < day):
        return Refused(Missing.EXPIRED, last + timedelta(days=1) if last and last < day else None)
    if not _begun(consent, day):
        return Refused(Missing.NOT_YET, consent.valid_from)
    passed_on = _transition_since(log, consent, day) if policy.renew_at_transition else None
    return passed_on or _of_age(consent, log, day) or _by_signers(consent, log, day, policy)


def _last_day(consent: Consent, policy: ConsentPolicy) -> date | None:
    """Return the last day of a consent. One that is limited and nobody knows the beginning of has ended."""
    if consent.valid_to or policy.months is None:
        return consent.valid_to
    begins = _begins(consent)
    return months_on(begins, policy.months) - timedelta(days=1) if begins else date.min


def _transition_since(log: RelayLog, consent: Consent, day: date) -> Refused | None:
    """Say that another service or unit has accepted the baton after the consent; one of an unknown day may have."""
    days = [handover.answered_on or handover.offered_on for handover in log.handovers if _is_transition(handover)]
    given = _begins(consent)
    after = [each for each in days if each is None or (each <= day and (given is None or each > given))]
    if not after:
        return None
    known = [each for each in after if each]
    return Refused(Missing.EXPIRED, min(known, default=None), transition=True)


def _is_transition(handover: Handover) -> bool:
    old, new = handover.from_holder, handover.to_holder
    if handover.answer is not BatonAnswer.ACCEPTED or old is None or new is None:
        return False
    return old.service is not new.service or bool(old.unit and new.unit and _folded(old.unit) != _folded(new.unit))


def _of_age(consent: Consent, log: RelayLog, day: date) -> Refused | None:
    """Refuse what others signed for somebody who is of age; how the family reads must be consented to anew."""
    birthday = comes_of_age(log)
    if birthday is None or day < birthday:
        return None
    own = any(signer.role is SignerRole.YOUTH for signer in consent.signed_by)
    as_adult = consent.valid_from is not None and consent.valid_from >= birthday
    if own and (as_adult or consent.recipient is not Service.FAMILY):
        return None
    return Refused(Missing.SIGNER, birthday, StillToSign((Needed.YOUTH,)))


def comes_of_age(log: RelayLog) -> date | None:
    """Return the day on which what others have signed for a child ends; None for a log that is no child's."""
    born = log.subject.birth_date
    if born is None or log.subject.kind in (SubjectKind.PREGNANT, SubjectKind.FAMILY):
        return None
    return _birthday(born, MAJORITY)


def grown_up(log: RelayLog, day: date) -> bool:
    """Tell whether the subject is known to be of age on a day: then no guardian signs or reads."""
    age = age_on(log.subject.birth_date, day)
    return age is not None and age >= MAJORITY


def _by_signers(consent: Consent, log: RelayLog, day: date, policy: ConsentPolicy) -> Opened | Refused:
    in_time = tuple(signer for signer in consent.signed_by if signer.on is None or signer.on <= day)
    consent = consent.model_copy(update={"signed_by": in_time})
    on = consent.valid_from or day
    named = frozenset(consent.parts) or frozenset({Part.EDUCATION})
    missing = still_to_sign(consent, log, on, policy)
    if not missing.who:
        return Opened(named, consent.child_asked is True)
    age = age_on(log.subject.birth_date, on)
    old_enough = policy.health_alone_from is not None and age is not None and age >= policy.health_alone_from
    if old_enough and Part.HEALTH in named and any(signer.role is SignerRole.YOUTH for signer in in_time):
        return Opened(frozenset({Part.HEALTH}), consent.child_asked is True, only_named=True)
    return Refused(Missing.SIGNER, to_sign=missing)


def signed(consent: Consent, log: RelayLog, on: date, policy: ConsentPolicy) -> bool:
    """Tell whether everybody who must sign has signed: `still_to_sign` says who has not."""
    return not still_to_sign(consent, log, on, policy).who


def still_to_sign(consent: Consent, log: RelayLog, on: date, policy: ConsentPolicy) -> StillToSign:
    """Return who has still to sign, by the subject's age on the day and the policy.

    A guardian counts only by name, with parental responsibility known to be theirs, and never when barred. One is
    enough only when the parents are known to live together, or the child is known to live with the one who signs;
    otherwise everybody who is not known to lack the responsibility must have signed. Who stands there twice, as after
    an import, is barred where either of the two is. A youth of unknown age signs together with the guardians.
    """
    roles = {signer.role for signer in consent.signed_by}
    if log.subject.kind is SubjectKind.PREGNANT:
        return StillToSign(() if SignerRole.PREGNANT in roles else (Needed.PREGNANT,))
    age = age_on(log.subject.birth_date, on)
    youth = () if SignerRole.YOUTH in roles else (Needed.YOUTH,)
    if age is not None and age >= policy.youth_alone_from:
        return StillToSign(youth)
    must_sign_too = log.subject.kind is SubjectKind.YOUTH if age is None else age >= policy.youth_also_from
    guardians = _guardians_to_sign(consent.signed_by, log.guardians, policy)
    if not must_sign_too or not youth:
        return guardians
    # With the youth among them "one is enough" would be wrong: both the youth and one of the guardians must sign.
    return StillToSign((*youth, *((Needed.GUARDIAN,) if guardians.any_one else guardians.who)))


def _guardians_to_sign(signers: Iterable[Signer], guardians: Iterable[Guardian], policy: ConsentPolicy) -> StillToSign:
    names = {_folded(signer.name) for signer in signers if signer.role in GUARDIAN_ROLES} - {""}
    guardians = tuple(guardians)
    barred = {_folded(guardian.name) for guardian in guardians if guardian.barred} - {""}
    deciding = [guardian for guardian in guardians if guardian.parental_responsibility is not False]
    able = [guardian for guardian in deciding if may_sign(guardian) and _folded(guardian.name) not in barred]
    have = [guardian for guardian in able if _folded(guardian.name) in names]
    shared = any(guardian.residence is Residence.SHARED for guardian in deciding)
    if any(_alone(guardian, policy, shared=shared) for guardian in have):
        return StillToSign()
    alone = [guardian for guardian in able if _alone(guardian, policy, shared=shared)]
    if alone:
        return StillToSign(_roles(alone), any_one=len(alone) > 1)
    missing = [guardian for guardian in deciding if guardian not in have]
    return StillToSign(_roles(missing) if deciding else (Needed.GUARDIAN,))


def _alone(guardian: Guardian, policy: ConsentPolicy, *, shared: bool) -> bool:
    """Tell whether one guardian's signature is enough."""
    if shared:
        return not policy.both_when_shared
    return guardian.residence in (Residence.TOGETHER, Residence.WITH_THIS)


def _roles(guardians: Iterable[Guardian]) -> tuple[Needed, ...]:
    return tuple(
        _OF_RELATION.get(guardian.relation, Needed.GUARDIAN)
        if guardian.parental_responsibility
        else Needed.RESPONSIBILITY
        for guardian in guardians
    )


def may_sign(guardian: Guardian) -> bool:
    """Tell whether a guardian may sign or read at all: responsibility known to be theirs, and not barred."""
    return guardian.parental_responsibility is True and not guardian.barred


def age_on(born: date | None, on: date) -> int | None:
    """Return the age in whole years on a day; None where the birth date is not known."""
    if born is None:
        return None
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def _birthday(born: date, age: int) -> date:
    """Return the day of a birthday; for somebody born on 29 February, 1 March in a common year."""
    year = born.year + age
    if (born.month, born.day) == (2, 29) and not calendar.isleap(year):
        return date(year, 3, 1)
    return born.replace(year=year)


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
