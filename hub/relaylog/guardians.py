"""Guardians that a system brings: each is a proposal until a person has confirmed it.

A record's own guardians count from its first reading: somebody at that service has entered them for this very log.
One that turns up afterwards, or in another system, is not added by itself. Until it is confirmed it gives nothing
(it neither signs nor reads) and still takes: its signature may be needed, and what protects somebody holds.
"""

from __future__ import annotations

from hub.relaylog.codes import Access, Residence
from hub.relaylog.model import Guardian, RelayLog


def new_guardians(agreed: RelayLog | None, seen: RelayLog) -> tuple[Guardian, ...]:
    """Return the guardians of a record that a person must confirm, in its order.

    `agreed` is the log as confirmed, None at the very first reading of its first record; a log that names nobody yet
    is as good as none. A guardian is known by the hub's id, or by the same national id; the same name alone is
    somebody else until a person says otherwise.
    """
    if agreed is None or not agreed.guardians:
        return ()
    ids = {guardian.id for guardian in agreed.guardians} - {""}
    numbers = {guardian.national_id for guardian in agreed.guardians} - {""}
    return tuple(
        guardian for guardian in seen.guardians if guardian.id not in ids and guardian.national_id not in numbers
    )


def with_proposed(log: RelayLog, proposed: tuple[Guardian, ...]) -> RelayLog:
    """Return a log in which the proposed guardians stand too, without anything that would give them a say.

    Gates, consent and views are asked of this log, so that only confirmed guardians sign or read.
    """
    if not proposed:
        return log
    confirmed = without(log, proposed).guardians
    return log.model_copy(update={"guardians": (*confirmed, *map(_unconfirmed, proposed))})


def without(log: RelayLog, proposed: tuple[Guardian, ...]) -> RelayLog:
    """Return a log without the proposed guardians: what is kept, sent and shown of it."""
    ids = {guardian.id for guardian in proposed}
    return log.model_copy(update={"guardians": tuple(one for one in log.guardians if one.id not in ids)})


def _unconfirmed(guardian: Guardian) -> Guardian:
    """Take away what gives a say or eases a consent; shared residence asks for more signatures, and stays."""
    shared = guardian.residence is Residence.SHARED
    residence = Residence.SHARED if shared else Residence.UNKNOWN
    responsibility = False if guardian.parental_responsibility is False else None
    taken = {"parental_responsibility": responsibility, "residence": residence, "access": Access.UNKNOWN}
    return guardian.model_copy(update=taken)
