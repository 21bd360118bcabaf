"""Whether a consent opens a log to a reader on a day, and which parts it names.

A consent releases from confidentiality towards one service, in named parts, within its dates. Who must sign follows
the age on the day it began and the municipality's policy. The answer is a value that says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hub.relaylog.codes import ConsentStatus, Part, Residence, Service, SignerRole, SubjectKind
from hub.relaylog.model import Consent, Guardian, RelayLog, Signer


class ConsentPolicy(BaseModel):
    """Who must sign. Ages in whole years on the day the consent begins; both presets differ between municipalities.

    The defaults are Hustadvika's: from 15 the youth signs together with the guardians, from 16 the youth alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    youth_also_from: int = 15
    youth_alone_from: int = 16
    both_when_shared: bool = True


class Missing(StrEnum):
    """Why a consent does not open the log."""

    NO_CONSENT = "no_consent"
    PENDING = "consent_pending"
    REFUSED = "consent_refused"
    WITHDRAWN = "consent_withdrawn"
    EXPIRED = "consent_expired"
    NOT_YET = "consent_not_begun"
    SIGNER = "signer_missing"


@dataclass(frozen=True)
class Opened:
    """The parts that a valid consent names to a reader, and whether the child was asked."""

    parts: frozenset[Part]
    child_asked: bool


GUARDIAN_ROLES = frozenset({SignerRole.MOTHER, SignerRole.FATHER, SignerRole.CO_MOTHER, SignerRole.LEGAL_GUARDIAN})
DECIDED = frozenset({ConsentStatus.GIVEN, ConsentStatus.WITHDRAWN, ConsentStatus.EXPIRED, ConsentStatus.REFUSED})


def opened(log: RelayLog, reader: Service, day: date, policy: ConsentPolicy) -> Opened | Missing:
    """Return what consent opens to a reader on a day, or what is missing.

    The latest decided consent counts, so that a narrower one replaces what went before; among several of the same day
    only what all of them open. A withdrawal counts until a consent that began after it; one without any date, like an
    undated refusal, may be the latest word and always counts. A consent without named parts names `education` alone.
    An unknown reader is nobody that a consent could name.
    """
    mine = [consent for consent in log.consents if consent.recipient is reader and reader is not Service.UNKNOWN]
    decided = [consent for consent in mine if consent.status in DECIDED]
    if not decided:
        return Missing.PENDING if mine else Missing.NO_CONSENT
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
    refusals = [answer for answer in answers if isinstance(answer, Missing)]
    if refusals:
        return refusals[0]
    openings = [answer for answer in answers if isinstance(answer, Opened)]
    return Opened(
        frozenset.intersection(*(opening.parts for opening in openings)),
        all(opening.child_asked for opening in openings),
    )


def _begun(consent: Consent, day: date) -> bool:
    return consent.valid_from is None or consent.valid_from <= day


def _withdrawn_since(consent: Consent, latest: date, day: date) -> bool:
    return consent.withdrawn_on is not None and latest <= consent.withdrawn_on <= day


def _ended_some_day(consent: Consent) -> bool:
    """Tell whether a refusal or withdrawal bears no date at all."""
    ended = consent.status in (ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN)
    return ended and consent.valid_from is None and consent.withdrawn_on is None


def _standing(consent: Consent, log: RelayLog, day: date, policy: ConsentPolicy) -> Opened | Missing:
    if consent.status is ConsentStatus.REFUSED:
        return Missing.REFUSED
    if consent.status is ConsentStatus.WITHDRAWN or (consent.withdrawn_on and consent.withdrawn_on <= day):
        return Missing.WITHDRAWN
    if consent.status is ConsentStatus.EXPIRED or (consent.valid_to and consent.valid_to < day):
        return Missing.EXPIRED
    if not _begun(consent, day):
        return Missing.NOT_YET
    if not signed(consent, log, consent.valid_from or day, policy):
        return Missing.SIGNER
    return Opened(frozenset(consent.parts) or frozenset({Part.EDUCATION}), consent.child_asked is True)


def signed(consent: Consent, log: RelayLog, on: date, policy: ConsentPolicy) -> bool:
    """Tell whether everybody who must sign has signed, by the subject's age on the day and the policy.

    A guardian counts only by name, with parental responsibility known to be theirs, and never when barred. One is
    enough only when the parents are known to live together, or the child is known to live with the one who signs;
    otherwise everybody who is not known to lack the responsibility must have signed. A youth of unknown age signs
    together with the guardians.
    """
    roles = {signer.role for signer in consent.signed_by}
    if log.subject.kind is SubjectKind.PREGNANT:
        return SignerRole.PREGNANT in roles
    age = _age(log.subject.birth_date, on)
    if age is not None and age >= policy.youth_alone_from:
        return SignerRole.YOUTH in roles
    may_sign = log.subject.kind is SubjectKind.YOUTH if age is None else age >= policy.youth_also_from
    if may_sign and SignerRole.YOUTH not in roles:
        return False
    return _guardians_signed(consent.signed_by, log.guardians, policy)


def _guardians_signed(signers: Iterable[Signer], guardians: Iterable[Guardian], policy: ConsentPolicy) -> bool:
    names = {_folded(signer.name) for signer in signers if signer.role in GUARDIAN_ROLES} - {""}
    deciding = [guardian for guardian in guardians if guardian.parental_responsibility is not False]
    have = [guardian for guardian in deciding if _counts(guardian) and _folded(guardian.name) in names]
    shared = any(guardian.residence is Residence.SHARED for guardian in deciding)
    one_is_enough = any(guardian.residence in (Residence.TOGETHER, Residence.WITH_THIS) for guardian in have)
    if shared:
        one_is_enough = not policy.both_when_shared
    return bool(have) and (one_is_enough or len(have) == len(deciding))


def _counts(guardian: Guardian) -> bool:
    return guardian.parental_responsibility is True and not guardian.barred


def _age(born: date | None, on: date) -> int | None:
    if born is None:
        return None
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
