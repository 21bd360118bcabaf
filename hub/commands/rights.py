"""`hub rights`: cases of deletion, access, correction, objection and restriction, from the demand to its end.

Ids, codes, days and roles are shown. What was asked and assessed is sealed, and shown only to who may open the log.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from hub.commands.shared import (
    CONFIG,
    ConfigOption,
    JsonOption,
    Language,
    PurposeOption,
    RevealedToOption,
    WhoOption,
    ask,
    log_facts,
    opened,
    tenant_of,
    write_private,
)

if TYPE_CHECKING:
    from sqlalchemy import Row

    from hub.bootstrap import Hub
    from hub.operate.roles import Act
    from hub.relaylog.rights import Basis
    from hub.sync.context import Tenant
    from hub.sync.rights import RightsCases, Standing

CodeT = TypeVar("CodeT", bound=StrEnum)

app = typer.Typer(
    help="What children and guardians ask for by right: deletion, access, correction, objection, restriction.",
    no_args_is_help=True,
)

CaseId = Annotated[str, typer.Argument(metavar="CASE", help="A case's id, as `hub rights list` shows it.")]
Sealed = "in a few words, kept sealed; - reads stdin"
LETTER = "letter"
"""What a case is opened for when its letter is written."""


class Kind(StrEnum):
    """What can be asked for."""

    DELETION = "deletion"
    ACCESS = "access"
    CORRECTION = "correction"
    OBJECTION = "objection"
    RESTRICTION = "restriction"


class By(StrEnum):
    """Who can ask: a role, never a name."""

    CHILD = "child"
    GUARDIAN = "guardian"
    OTHER = "other"


class NoSuchCase(Exception):
    """No municipality here has this case."""


class BadAnswer(Exception):
    """An option of a case is none that it can have. Says which there are."""


@app.command("open")
def open_case(
    log: Annotated[str, typer.Option("--log", metavar="LOG", help="The hub's id of the log.")],
    kind: Annotated[Kind, typer.Option("--kind", help="What is asked for.")],
    asked_by: Annotated[By, typer.Option("--asked-by", help="Who asks, by role; never a name.")],
    asks: Annotated[str, typer.Option("--asks", help=f"What is asked, {Sealed}.")],
    who: WhoOption,
    asked_on: Annotated[
        str, typer.Option("--asked-on", metavar="DAY", help="The day that it was asked; today where left out.")
    ] = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Write a demand down. An objection or a demand for restriction stops every sending of the log at once."""
    from hub.operate.roles import Act
    from hub.relaylog.rights import AskedBy, RightsKind
    from hub.store.rights import Demand

    words = _words(asks)
    with opened(config) as hub:
        tenant = tenant_of(hub, log, "`hub inbox list` and `hub report insight` tell ids")
        ask(hub, tenant, who, Act.RIGHTS, log_facts(hub, tenant, log), ("log", log), words)
        day = _day(asked_on) if asked_on else tenant.today()
        demand = Demand(_code(RightsKind, kind.value), log, _code(AskedBy, asked_by.value), day, words)
        case_id = _cases(hub, tenant).open(demand, who)
        typer.echo(f"Opened: {case_id}. {_stands(_cases(hub, tenant).standing(case_id).case)}")


@app.command("list")
def list_cases(
    log: Annotated[str, typer.Option("--log", metavar="LOG", help="Only cases about this log.")] = "",
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only these.")] = None,
    config: ConfigOption = CONFIG,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are carried out.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List cases, what is due first before the others. Nobody is named."""
    from hub.store.rights import Rights

    with opened(config) as hub:
        found = []
        for number, tenant in hub.tenants.items():
            with tenant.db.read() as tx:
                rows = Rights(number).cases(tx, log, everything=everything)
            found += [(tenant, row) for row in rows if kind is None or row.kind == kind.value]
        if as_json:
            typer.echo(json.dumps([_as_json(tenant, row) for tenant, row in found], indent=1))
            return
        for tenant, row in found:
            late = "  OVERDUE" if row.state == "open" and row.due_on < tenant.today() else ""
            typer.echo(f"{row.case_id}  {row.kind}  {_stands(row)}{late}")
            typer.echo(f"  log {row.log_id}, asked by {row.asked_by} on {row.asked_on}")
        if not found:
            typer.echo("No case waits.")


@app.command()
def show(
    case: CaseId,
    who: RevealedToOption = "",
    purpose: PurposeOption = "",
    config: ConfigOption = CONFIG,
    *,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show what was asked and assessed, to who may open the log; it is kept.")
    ] = False,
) -> None:
    """Show how a case stands: what was decided, who has had the log, what is asked of whom. Nobody is named."""
    from hub.operate.roles import Act
    from hub.store.decisions import Who

    if reveal and not (who and purpose):
        raise BadAnswer("Say who you are and what for: --who … --purpose …")
    with _case(config, case) as (hub, tenant, standing):
        if not reveal:
            _show(standing, tenant.today())
            return
        facts = log_facts(hub, tenant, standing.case.log_id, opens=True)
        ask(hub, tenant, who, Act.READ, facts, ("log", standing.case.log_id), purpose)
        said = _cases(hub, tenant).opened(case, Who(who, purpose))
        typer.echo(f"asks: {said.asks}")
        for each in said.extensions:
            typer.echo(f"takes longer: {each}")
        for each in said.assessments:
            typer.echo(f"assessment: {each}")


@app.command()
def extend(
    case: CaseId,
    who: WhoOption,
    months: Annotated[int, typer.Option("--months", min=1, max=2, help="By how many; two in sum at most.")],
    why: Annotated[str, typer.Option("--why", help=f"Why, as whoever asked is to read it, {Sealed}.")],
    config: ConfigOption = CONFIG,
) -> None:
    """Give the answer more time, within the first month. Tell whoever asked by then: `hub rights letter`."""
    from hub.operate.roles import Act
    from hub.store.decisions import Who

    words = _words(why)
    with _case(config, case) as (hub, tenant, standing):
        _ask(hub, tenant, standing, Act.RULE_RIGHTS, who, words)
        cases = _cases(hub, tenant)
        cases.extend(case, months, Who(who, words))
        _show(cases.standing(case), tenant.today())


@app.command()
def letter(
    case: CaseId,
    who: WhoOption,
    reasons: Annotated[
        str,
        typer.Option(
            "--reasons", help="Why it was decided so, as whoever asked is to read it; not kept; - reads stdin."
        ),
    ] = "",
    to: Annotated[Path | None, typer.Option("--to", help="The text file to write; the screen if left out.")] = None,
    language: Annotated[Language | None, typer.Option("--language", help="That of the log if left out.")] = None,
    config: ConfigOption = CONFIG,
    *,
    lifting: Annotated[
        bool, typer.Option("--lifting", help="Tell that what was granted will be lifted, before you decide so.")
    ] = False,
) -> None:
    """Make the letter to whoever asked: what was decided, or why it takes longer. You read it, and you send it."""
    from hub.documents.letter import letter_text
    from hub.operate.letter import check_letter, letter_of, told_of
    from hub.operate.roles import Act
    from hub.store.decisions import Who

    words = _words(reasons)
    with _case(config, case) as (hub, tenant, standing):
        row, said, spoken = standing.case, None, hub.settings_of(tenant).language
        check_letter(row, words, lifting=lifting)
        if row.decision is not None and row.sealed_detail is None:
            # The log is deleted, and with it the words: nothing sealed is opened, so that no event says it was.
            _ask(hub, tenant, standing, Act.RIGHTS, who, LETTER)
        else:
            ask(hub, tenant, who, Act.READ, log_facts(hub, tenant, row.log_id, opens=True), ("log", row.log_id), LETTER)
            said = _cases(hub, tenant).opened(case, Who(who, LETTER))
            with tenant.db.read() as tx:
                spoken = tenant.logs.load(tx, row.log_id).log.language
        told = told_of(row, said, words, lifting=lifting, was_granted=standing.was_granted)
        made = letter_text(letter_of(row, said, told, tenant.name, tenant.today(), language or spoken))
    if to is None:
        typer.echo(made, nl=False)
    else:
        write_private(to, made.encode())


@app.command()
def decide(
    case: CaseId,
    who: WhoOption,
    basis: Annotated[
        str,
        typer.Option(
            "--basis",
            help="The basis in law: gdpr_12_5 gdpr_15 gdpr_15_4 gdpr_16 gdpr_17_1 gdpr_17_3_b gdpr_17_3_d gdpr_18_1 "
            "gdpr_18_3 gdpr_21_1 popplyl_16 archive_released.",
        ),
    ],
    assessment: Annotated[str, typer.Option("--assessment", help=f"Why, {Sealed}.")],
    config: ConfigOption = CONFIG,
    *,
    grant: Annotated[bool, typer.Option("--grant/--refuse", help="What is decided.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="You know that a deletion is for good, and are not asked.")
    ] = False,
) -> None:
    """Decide a case. A granted deletion shreds the log here for good, and asks its systems to delete theirs."""
    from hub.operate.roles import Act
    from hub.relaylog.rights import RightsDecision, Ruling

    words, named = _words(assessment), _basis(basis)
    with _case(config, case) as (hub, tenant, standing):
        _ask(hub, tenant, standing, Act.RULE_RIGHTS, who, words)
        deletes = grant and standing.case.kind == Kind.DELETION
        if deletes and not yes:
            typer.confirm("The log is shredded here for good, in backups too. Delete it?", abort=True)
        decision = RightsDecision.GRANTED if grant else RightsDecision.REFUSED
        cases = _cases(hub, tenant)
        cases.decide(case, Ruling(decision, named, words, who))
        if deletes:
            _forget(hub)
        _show(cases.standing(case), tenant.today())


@app.command()
def done(
    case: CaseId,
    who: WhoOption,
    by_hand: Annotated[
        list[str] | None,
        typer.Option("--by-hand", metavar="CONNECTION", help="A receiver whom you told of a correction; repeat it."),
    ] = None,
    config: ConfigOption = CONFIG,
) -> None:
    """Note that what was decided is carried out, and that whoever asked has been told."""
    from hub.operate.roles import Act

    with _case(config, case) as (hub, tenant, standing):
        _ask(hub, tenant, standing, Act.RIGHTS, who, "done")
        told = [name if "/" in name else f"{tenant.organisation_number}/{name}" for name in by_hand or ()]
        _cases(hub, tenant).done(case, who, told)
        typer.echo("Done.")


def _forget(hub: Hub) -> None:
    """Have the database give up what was deleted; where others are at work, the nightly wipe does."""
    from hub.store.database import StoreUnavailable

    try:
        hub.db.forget_deleted()
    except StoreUnavailable:
        typer.echo("Deleted. Others are at work: its bytes leave the database's files with the nightly wipe.")


def _stands(row: Row[Any]) -> str:
    """Tell where a case is, in codes and days."""
    if row.state == "open":
        return f"open, answer by {row.due_on}{', extended' if row.extended_by else ''}"
    return f"{row.state}: {row.decision} on the basis {row.basis}, by {row.decided_by} on {row.decided_at:%Y-%m-%d}"


def _show(standing: Standing, today: date) -> None:
    row = standing.case
    typer.echo(f"{row.kind}: {_stands(row)}")
    typer.echo(f"  log {row.log_id}")
    typer.echo(f"  asked by {row.asked_by} on {row.asked_on}, written down by {row.opened_by}")
    if row.extended_by:
        more = f"{_months(row)} to {row.due_on}, by {row.extended_by} on {row.extended_at:%Y-%m-%d}; why is sealed"
        typer.echo(f"  extended by {more}")
    for one in standing.receivers:
        when = (
            f"receipt {one.receipt or 'without a number'} of {one.received_at:%Y-%m-%d %H:%M}"
            if one.received_at
            else ""
        )
        told = [when or "no receipt since", *(["delivery " + one.on_its_way + " waits"] if one.on_its_way else [])]
        told += ["may hold something other" if one.holds_other else "holds nothing other"]
        typer.echo(f"  receiver {one.connection}: {', '.join(told)}")
    for task in standing.tasks:
        listed = "" if standing.listed.get(task.connection, True) else "; its system no longer lists the record"
        connection = "special_rule" if task.revealing else task.connection
        typer.echo(f"  task {task.task_id}: delete it in {connection}, {task.state}{listed}")
    for package in standing.archived:
        left = "left untouched in" if row.kind == Kind.DELETION else "in"
        typer.echo(
            f"  archived {package.external_key}, revision {package.revision}: {left} {package.target} "
            f"as {package.receipt_ref}"
        )
    for line in _next(row, today):
        typer.echo(f"  {line}")


def _next(row: Row[Any], today: date) -> Iterator[str]:
    """Yield what can be done next."""
    if row.kind == Kind.ACCESS and row.state != "done":
        yield f"the answer: hub report insight --log {row.log_id} --who …  tells who has seen the log"
        who_for = "child" if row.asked_by == By.CHILD else "guardian"
        yield f"the answer: hub report shared {row.log_id} --for {who_for} --out FILE.pdf --who …  tells who got what"
    if row.state == "open":
        yield from _more_time(row, today)
        yield f"hub rights decide {row.case_id} --grant --basis … --assessment … --who …  (or --refuse)"
    elif row.state == "decided":
        yield f"hub rights letter {row.case_id} --who …  the letter to whoever asked; a refusal takes --reasons …"
        yield f"hub rights done {row.case_id} --who …  when it is carried out and whoever asked has been told"
    if row.kind in (Kind.OBJECTION, Kind.RESTRICTION) and row.decision != "refused":
        yield "nothing of the log is sent until the case is decided against"
        if row.decision == "granted":
            told = f"hub rights letter {row.case_id} --lifting --reasons … --who …"
            yield f"{told}  tells whoever asked, before `decide --refuse` lifts it"


def _more_time(row: Row[Any], today: date) -> Iterator[str]:
    """Yield what can be done within the first month about the time to answer."""
    from hub.relaylog.rights import EXTENSION, due_on, months_extended

    first, months = due_on(row.asked_on), months_extended(row.asked_on, row.due_on)
    if months:
        yield f"tell whoever asked by {first} that it takes longer and why: hub rights letter {row.case_id} --who …"
    if months < EXTENSION and today <= first:
        yield f"hub rights extend {row.case_id} --months … --why … --who …  until {first}, if it takes longer"


def _months(row: Row[Any]) -> str:
    from hub.relaylog.rights import months_extended

    months = months_extended(row.asked_on, row.due_on)
    return "1 month" if months == 1 else f"{months} months"


def _as_json(tenant: Tenant, row: Row[Any]) -> dict[str, str]:
    names = ("case_id", "log_id", "kind", "state", "asked_by", "decision", "basis", "decided_by", "extended_by")
    days = {name: getattr(row, name).isoformat() for name in ("asked_on", "due_on")}
    return {"tenant": tenant.organisation_number, **{name: str(getattr(row, name) or "") for name in names}, **days}


def _cases(hub: Hub, tenant: Tenant) -> RightsCases:
    from hub.store.wipe import SHREDDED, ShredList
    from hub.sync.rights import RightsCases

    return RightsCases(tenant, ShredList(hub.settings.data / SHREDDED))


@contextmanager
def _case(config: Path, case_id: str) -> Iterator[tuple[Hub, Tenant, Standing]]:
    """Find a case in whichever municipality, and how it stands. Raises NoSuchCase."""
    from hub.store.rights import Rights

    with opened(config) as hub:
        for number, tenant in hub.tenants.items():
            with tenant.db.read() as tx:
                found = Rights(number).case(tx, case_id)
            if found is not None:
                yield hub, tenant, _cases(hub, tenant).standing(case_id)
                return
    raise NoSuchCase("No case has this id. `hub rights list --all` shows those there are")


def _ask(hub: Hub, tenant: Tenant, standing: Standing, act: Act, who: str, purpose: str) -> None:
    """Ask for the role that a step of a case takes. Raises NotAllowed."""
    row = standing.case
    ask(hub, tenant, who, act, log_facts(hub, tenant, row.log_id), ("rights", row.case_id), purpose)


def _words(text: str) -> str:
    return sys.stdin.read().strip() if text == "-" else text


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadAnswer("--asked-on: write a day like 2026-11-02") from None


def _basis(code: str) -> Basis:
    from hub.relaylog.rights import Basis

    if code not in list(Basis):
        raise BadAnswer(f"--basis: write one of {' '.join(Basis)}")
    return _code(Basis, code)


def _code(codes: type[CodeT], code: str) -> CodeT:
    """Return the member that equals a code."""
    return next(each for each in codes if each == code)
