"""`hub report` and `hub document`: papers that people ask for, made from the store. A person hands them on.

Heavy rooms are imported when needed. On the screen stand ids, dates and counts; what tells about a child goes into the
file that was asked for, readable by its owner alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hub.commands.shared import (
    CONFIG,
    ConfigOption,
    Language,
    LogArgument,
    TenantOption,
    WhoOption,
    ask,
    opened,
    tenant_of,
    the_tenant,
    write_private,
)

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.operate.roles import Act, LogFacts
    from hub.operate.sendings import Range, Sendings
    from hub.relaylog.codes import Part
    from hub.relaylog.model import RelayLog
    from hub.sync.context import Tenant

app = typer.Typer(help="Papers for people: what was shared, control rounds, breaches.", no_args_is_help=True)


Recipient = Literal["ppt", "child_welfare", "new_municipality"]
"""Who a summary can be made for."""

Reader = Literal["child", "guardian"]
"""Whom a page about what was shared is written for."""

_DAY = "%Y-%m-%d"


class BadOption(Exception):
    """An option's value can't be used. Says what would do."""


def document(
    log: LogArgument,
    recipient: Annotated[Recipient, typer.Option("--for", help="Who is to get it.")],
    purpose: Annotated[
        str, typer.Option("--purpose", help="Why, in your words, naming nobody; it stands in the document alone.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The PDF to write.")],
    who: WhoOption,
    config: ConfigOption = CONFIG,
) -> None:
    """Make the summary that goes with a referral to PPT or a report to child welfare. You read it and send it.

    For a new municipality: a copy of a log that was closed because the family moved, by a consent from after that.
    """
    from hub.documents.summary import RECIPIENTS
    from hub.operate.opened import Opener, parts_for, summary_pdf

    with opened(config) as hub:
        tenant = tenant_of(hub, log)
        opener, today = Opener(tenant.db, tenant.logs, who), tenant.today()
        found, reader, rules = opener.log_to_share(log), RECIPIENTS[recipient], tenant.rules(today)
        _ask_to_read(hub, tenant, who, found, parts_for(found, reader, today, rules), purpose)
        made = summary_pdf(found, reader, purpose, tenant.name, today, rules)
        opener.noted(log, "copy_for_new_municipality" if recipient == "new_municipality" else "summary", tenant.now())
    write_private(out, made)


@app.command()
def shared(
    log: LogArgument,
    reader: Annotated[Reader, typer.Option("--for", help="Whom the page is for.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write: .pdf, or .txt for plain text.")],
    who: WhoOption,
    language: Annotated[Language | None, typer.Option("--language", help="That of the log if left out.")] = None,
    config: ConfigOption = CONFIG,
) -> None:
    """Make a plain page for a child or a guardian: what of the log went to whom, and how to stop it."""
    from hub.documents.shared import shared_pdf, shared_text
    from hub.operate.opened import Opener
    from hub.operate.shared import shared_page

    if out.suffix not in (".pdf", ".txt"):
        raise BadOption("--out: name a file that ends in .pdf or .txt")
    with opened(config) as hub:
        tenant = tenant_of(hub, log)
        opener, today = Opener(tenant.db, tenant.logs, who), tenant.today()
        found = opener.log(log)
        _ask_to_read(hub, tenant, who, found, (), reader)
        page = shared_page(
            found,
            _sendings(tenant).of_log(log),
            reader,
            municipality=tenant.name,
            today=today,
            rules=tenant.rules(today),
            language=language or found.language,
        )
        made = shared_pdf(page) if out.suffix == ".pdf" else shared_text(page).encode()
        opener.noted(log, f"shared_{reader}", tenant.now())
    write_private(out, made)


@app.command()
def insight(
    child: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="File with the national id of a child; - is stdin.")
    ] = None,
    log: Annotated[str, typer.Option("--log", help="The log's id, in place of a file.")] = "",
    tenant: TenantOption = "",
    config: ConfigOption = CONFIG,
    *,
    who: WhoOption,
) -> None:
    """Tell who has opened a child's log, and which systems were sent it. A wiped log is found by its id alone."""
    from hub.commands.console import console, listing
    from hub.operate.insight import HEAD, cells, seen
    from hub.operate.roles import Act, LogFacts
    from hub.store.events import Action, append

    if (child is None) == (not log):
        raise BadOption("Name a file with the child's national id, - for stdin, or --log")
    with opened(config) as hub:
        found = tenant_of(hub, log) if log else _tenant(hub, tenant)
        number = found.organisation_number
        ask(hub, found, who, Act.INSIGHT, LogFacts(), ("tenant", number))
        log_ids = [log] if child is None else _logs_of(found, child)
        lines = seen(found.db, number, log_ids)
        with found.db.write() as tx:
            for log_id in log_ids:
                append(tx, number, Action.PERSON_REPORT_MADE, "log", log_id, who, found.now(), report="insight")
    console.print(listing(f"{len(log_ids)} logs", *HEAD, rows=map(cells, lines)))


@app.command()
def control(
    unit: Annotated[str, typer.Option("--unit", help="The unit in charge: id, organisation number or name.")],
    who: WhoOption,
    on: Annotated[datetime | None, typer.Option("--date", formats=[_DAY], help="Seen from; today if none.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write it as CSV, too.")] = None,
    pdf: Annotated[Path | None, typer.Option("--pdf", help="Write it as PDF, too.")] = None,
    idle_days: Annotated[int, typer.Option(min=1, help="No activity: no change for so many days.")] = 60,
    language: Annotated[Language, typer.Option("--language", help="Of the words.")] = "nb",
    tenant: TenantOption = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Show what a leader controls in a unit's open logs two or three times a year. Ids and dates, no names."""
    from hub.commands.console import console, listing
    from hub.documents import control as paper
    from hub.operate.control import control_round, logs_of_unit
    from hub.operate.roles import Act, LogFacts

    with opened(config) as hub:
        found = _tenant(hub, tenant)
        day = on.date() if on else found.today()
        names = _names_of(hub, found, unit)
        _ask_for_report(hub, found, who, Act.CONTROL, LogFacts(unit=frozenset(names)))
        of_unit = logs_of_unit(found.db, found.logs, names)
        page = control_round(of_unit.open, names[0], day, waiting=of_unit.waiting, idle_days=idle_days)
    console.print(listing(paper.title(page, language), *paper.heads(language), rows=paper.lines(page, language)))
    console.print(paper.terms(page, language), paper.UNKNOWN.text(language), sep="\n", soft_wrap=True)
    for told in paper.not_archived(page, language):
        console.print(told, soft_wrap=True)
    if csv:
        write_private(csv, paper.control_csv(page))
    if pdf:
        write_private(pdf, paper.control_pdf(page, found.name, language))


@app.command()
def remind(
    on: Annotated[datetime | None, typer.Option("--date", formats=[_DAY], help="Seen from; today if none.")] = None,
    language: Annotated[
        Language | None, typer.Option("--language", help="Of the words; the municipality's if left out.")
    ] = None,
    tenant: TenantOption = "",
    config: ConfigOption = CONFIG,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show each message; send and store nothing.")] = False,
) -> None:
    """Send each unit's address what a control round of it finds, once a day. Counts and log ids, no names."""
    from hub.operate.reminders import Outcome
    from hub.service.remind import remind_now, reminders

    with opened(config) as hub:
        found = _tenant(hub, tenant)
        day = on.date() if on else found.today()
        if dry_run:
            for unit, letter in reminders(hub, found, language).letters(day):
                typer.echo(f"{unit}: to {letter.recipient}\n{letter.subject}\n\n{letter.text}")
            return
        told = remind_now(hub, found, day, language)
    for each in told:
        typer.echo(f"{each.unit}: {each.in_words()}")
    if any(each.outcome in (Outcome.PUT_OFF, Outcome.FAILED, Outcome.UNKNOWN) for each in told):
        sys.exit(1)


@app.command()
def breach(
    since: Annotated[str, typer.Option("--from", help="First day, or an instant: 2026-11-02 or 2026-11-02T08:00.")],
    until: Annotated[str, typer.Option("--to", help="Last day, all of it, or an instant.")],
    who: WhoOption,
    connection: Annotated[str, typer.Option("--connection", help="One connection; all where none is named.")] = "",
    csv: Annotated[Path | None, typer.Option("--csv", help="Write it as CSV, too.")] = None,
    tenant: TenantOption = "",
    config: ConfigOption = CONFIG,
) -> None:
    """List which logs, parts and readers a faulty period reached. Ids, codes and counts; no one's data."""
    from hub.commands.console import console, listing
    from hub.operate.breach import HEAD, breach_csv, cells, reach
    from hub.operate.roles import Act, LogFacts

    within = _range(since, until)
    with opened(config) as hub:
        found = hub.connection(connection)[0] if connection else _tenant(hub, tenant)
        asked = hub.connection(connection)[1].id if connection else ""
        _ask_for_report(hub, found, who, Act.BREACH, LogFacts())
        sent = _sendings(found).between(within, asked)
    console.print(listing(f"{since} – {until}", *HEAD, rows=map(cells, sent)))
    counts = reach(sent)
    console.print(
        f"{counts.sendings} sendings, {counts.logs} logs, {counts.children} children, at most {counts.persons} persons "
        f"of their families with them; of {counts.unknown} logs the persons are not known. Staff are not counted",
        soft_wrap=True,
    )
    if csv:
        write_private(csv, breach_csv(sent))


@app.command()
def privacy(
    out: Annotated[Path, typer.Option("--out", help="The Markdown file to write.")],
    on: Annotated[datetime | None, typer.Option("--date", formats=[_DAY], help="Seen from; today if none.")] = None,
    tenant: TenantOption = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Make the data protection officer's page from the configuration, in bokmål. The store is not opened."""
    from hub.bootstrap import SYSTEMS, read_settings
    from hub.operate.privacy import privacy_page

    found = {each.organisation_number: each for each in read_settings(config, os.environ).tenants}
    specs = {name: system.spec for name, system in SYSTEMS.items()}
    day = on.date() if on else date.today()  # noqa: DTZ011 - the day where the page is made
    write_private(out, privacy_page(found[the_tenant(found, tenant)], day, specs).encode())


def _ask_to_read(hub: Hub, tenant: Tenant, who: str, log: RelayLog, parts: Collection[Part], purpose: str) -> None:
    """Ask for a role to open a log; `parts` are those whose text is opened."""
    from hub.operate.roles import Act, facts_of

    ask(hub, tenant, who, Act.READ, facts_of(log, hub.settings_of(tenant), parts), ("log", log.id), purpose)


def _ask_for_report(hub: Hub, tenant: Tenant, who: str, act: Act, facts: LogFacts) -> None:
    """Ask for a role to make a report, and write down that it is made."""
    from hub.store.events import Action, append

    number = tenant.organisation_number
    ask(hub, tenant, who, act, facts, ("tenant", number))
    with tenant.db.write() as tx:
        append(tx, number, Action.PERSON_REPORT_MADE, "tenant", number, who, tenant.now(), report=act.value)


def _logs_of(tenant: Tenant, child: Path) -> list[str]:
    """Return the logs of the child whose national id stands in a file. The number is shown nowhere."""
    from hub.operate.insight import logs_of
    from hub.relaylog.nationalid import InvalidNationalId, parse

    try:
        text = (sys.stdin.read() if str(child) == "-" else child.read_text("utf-8")).strip()
        parse(text)
    except (OSError, UnicodeDecodeError, InvalidNationalId):
        raise BadOption("The file holds no national id. Write the eleven digits alone on its first line") from None
    return logs_of(tenant.db, tenant.logs, text)


def _tenant(hub: Hub, number: str) -> Tenant:
    return hub.tenants[the_tenant(hub.tenants, number)]


def _names_of(hub: Hub, tenant: Tenant, asked: str) -> list[str]:
    """Return all that a configured unit goes by, its name first; what was asked for alone where none is meant."""
    for unit in hub.settings_of(tenant).units:
        if asked in (unit.id, unit.name, unit.organisation_number):
            return [unit.name, unit.id, unit.organisation_number]
    return [asked]


def _sendings(tenant: Tenant) -> Sendings:
    from hub.operate.sendings import Sendings

    return Sendings(tenant.db, tenant.logs, tenant.connections, tenant.rules, tenant.today())


def _range(since: str, until: str) -> Range:
    from hub.operate.sendings import Range

    found = Range(_instant(since, "--from"), _instant(until, "--to", days=1))
    if found.since >= found.until:
        raise BadOption("--to: name a time after --from")
    return found


def _instant(text: str, option: str, days: int = 0) -> datetime:
    """Return a time as an instant, Norwegian where it has no zone; a day is its beginning, `days` later."""
    from hub.documents.words import OSLO

    try:
        if len(text) == len("2026-11-02"):
            return datetime.combine(date.fromisoformat(text) + timedelta(days=days), time(), OSLO)
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadOption(f"{option}: write a day like 2026-11-02, or an instant like 2026-11-02T08:00") from None
    return at if at.tzinfo else at.replace(tzinfo=OSLO)
