"""What the child or a guardian is told of who got what: sendings joined into few lines, each with its consents.

That child welfare takes part is hidden from others. The family's own consent is the family's to know: a guardian is
told of a hidden service only where a guardian has consented to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from hub.documents.shared import Audience, GivenConsent, Shared, SharedPage
from hub.documents.words import local_day
from hub.operate.sendings import Basis, Outcome, Sending
from hub.relaylog.codes import ConsentStatus, Language, Service, SignerRole
from hub.relaylog.consent import GUARDIAN_ROLES
from hub.relaylog.gates import Rules, special_stops
from hub.relaylog.model import Consent, RelayLog


class SpecialRule(Exception):
    """A special rule keeps the page from a guardian until a person has decided. Does not say which."""


def shared_page(
    log: RelayLog,
    sendings: Iterable[Sending],
    audience: Audience,
    *,
    municipality: str,
    today: date,
    rules: Rules,
    language: Language,
) -> SharedPage:
    """Return what the page for the child or a guardian says; pure.

    Raises SpecialRule for a guardian where somebody is barred or protected, or the log is marked as of violence.
    """
    if audience == "guardian" and _special(log):
        raise SpecialRule(
            f"log {log.id}: a special rule (særskilt regel) applies. The rule's owner decides what a guardian is told"
        )
    hidden = rules.sharing.hidden_services if audience == "guardian" else frozenset()
    untold = hidden - _consented_by_guardians(log)
    holder = log.holder if log.holder and log.holder.service not in untold else None
    told = (
        _line(log, one, untold)
        for one in sendings
        if one.outcome is not Outcome.REFUSED and not (one.readers and one.readers <= untold)
    )
    return SharedPage(
        audience=audience,
        language=language,
        municipality=municipality,
        today=today,
        log_id=log.id,
        name=log.subject.name,
        holder=", ".join(filter(None, (holder.name, holder.service.label(language)))) if holder else "",
        youth_also_from=rules.consent.youth_also_from,
        youth_alone_from=rules.consent.youth_alone_from,
        shared=tuple(_joined(told)),
    )


def _special(log: RelayLog) -> bool:
    barred = any(guardian.barred for guardian in log.guardians)
    return barred or any(stop.revealing for stop in special_stops(log))


def _consented_by_guardians(log: RelayLog) -> frozenset[Service]:
    known = GUARDIAN_ROLES | {SignerRole.PREGNANT}
    return frozenset(
        consent.recipient for consent in log.consents if any(signer.role in known for signer in consent.signed_by)
    )


def _line(log: RelayLog, one: Sending, untold: frozenset[Service]) -> Shared:
    """Return one sending as a line of its own."""
    day = local_day(one.at)
    readers = tuple(reader for reader in Service if reader in one.readers - untold)
    return Shared(
        readers=readers,
        parts=None if one.basis is Basis.UNKNOWN else tuple(sorted(one.parts)),
        at_most=one.basis is Basis.AT_MOST,
        arrived=one.outcome is Outcome.RECEIVED,
        first=day,
        last=day,
        times=1,
        consents=tuple(_given(consent) for reader in readers if (consent := _standing(log, reader, day))),
    )


def _joined(lines: Iterable[Shared]) -> Iterator[Shared]:
    """Join the lines that say the same of other days, in the order of their first day."""

    def same(line: Shared) -> tuple[object, ...]:
        return line.readers, line.parts, line.at_most, line.arrived, line.consents

    groups: dict[tuple[object, ...], list[Shared]] = {}
    for line in lines:
        groups.setdefault(same(line), []).append(line)
    for alike in groups.values():
        first, last = min(line.first for line in alike), max(line.last for line in alike)
        yield replace(alike[0], first=first, last=last, times=len(alike))


def _standing(log: RelayLog, reader: Service, day: date) -> Consent | None:
    """Return the consent to a reader that stood on a day: of those begun and not ended, the last to begin."""
    standing = [consent for consent in log.consents if consent.recipient is reader and _stood(consent, day)]
    return max(standing, key=lambda consent: consent.valid_from or date.min, default=None)


def _stood(consent: Consent, day: date) -> bool:
    if consent.status in (ConsentStatus.PENDING, ConsentStatus.REFUSED, ConsentStatus.UNKNOWN):
        return False
    begun = consent.valid_from is None or consent.valid_from <= day
    ended = (consent.valid_to and consent.valid_to < day) or (consent.withdrawn_on and consent.withdrawn_on < day)
    return begun and not ended


def _given(consent: Consent) -> GivenConsent:
    signers = tuple(role for role in SignerRole if role in {signer.role for signer in consent.signed_by})
    return GivenConsent(consent.recipient, signers, consent.valid_from, consent.valid_to, consent.withdrawn_on)
