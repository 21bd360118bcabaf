"""What a log may be kept for: to archive it when it ends, or to share it. For nothing else it is kept at all."""

from __future__ import annotations

from datetime import date

from hub.relaylog.codes import LogStatus, Service
from hub.relaylog.gates import Rules, parts_open_to
from hub.relaylog.model import RelayLog

UNKEPT = frozenset({LogStatus.DRAFT, LogStatus.AWAITING_CONSENT, LogStatus.REJECTED})
"""A log in one of these has not begun: it is no case to archive, and is shared with nobody but by consent."""


def may_be_kept(log: RelayLog, day: date, rules: Rules) -> bool:
    """Tell whether a log may be kept on a day; a consent that begins later opens it for that already."""
    if log.status not in UNKEPT:
        return True
    later = {consent.valid_from for consent in log.consents if consent.valid_from and consent.valid_from > day}
    return any(parts_open_to(log, reader, each, rules) for each in {day, *later} for reader in Service)
