"""`hub report` and `hub document`: papers that people ask for, made from the store. A person hands them on.

Heavy rooms are imported when needed. On the screen stand ids, dates and counts; what tells about a child goes into the
file that was asked for, readable by its owner alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from hub.bootstrap import Hub
    from hub.operate.sendings import Range, Sendings
    from hub.sync.context import Tenant

app = typer.Typer(help="Papers for people: what was shared, control rounds, breaches.", no_args_is_help=True)


Recipient = Literal["ppt", "child_welfare"]
"""Who a summary can be made for."""

Reader = Literal["child", "guardian"]
"""Whom a page about what was shared is written for."""

Language = Literal["nb", "nn", "en"]
"""The language of a paper."""

LogArgument = Annotated[str, typer.Argument(metavar="LOG", help="The log's id.")]
WhoOption = Annotated[str, typer.Option("--who", help="Your user id; it stands in the log of events.")]
ConfigOption = Annotated[Path, typer.Option("--config", help="The configuration folder.", envvar="STAFETTHUB_CONFIG")]
TenantOption = Annotated[str, typer.Option("--tenant", help="Organisation number; not needed where there is one.")]
CONFIG = Path("config")
_DAY = "%Y-%m-%d"


class UnknownLog(Exception):
    """No municipality of the configuration has the log."""


class UnknownTenant(Exception):
    """A configuration doesn't have the municipality, or has several and none was named."""


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
    """Make the summary that goes with a referral to PPT or a report to child welfare. You read it and send it."""
    from hub.documents.summary import RECIPIENTS
    from hub.operate.opened import Opener, summary_pdf

    with _opened(config) as hub:
        tenant = _tenant_of(hub, log)
        opener, today = Opener(tenant.db, tenant.logs, who), tenant.today()
        made = summary_pdf(opener.log(log), RECIPIENTS[recipient], purpose, tenant.name, today, tenant.rules(today))
        opener.noted(log, "summary", tenant.now())
    _write(out, made)


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
    with _opened(config) as hub:
        tenant = _tenant_of(hub, log)
        opener, today = Opener(tenant.db, tenant.logs, who), tenant.today()
        found = opener.log(log)
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
    _write(out, made)


@app.command()
def control(
    unit: Annotated[str, typer.Option("--unit", help="The unit in charge: id, organisation number or name.")],
    on: Annotated[datetime | None, typer.Option("--date", formats=[_DAY], help="Seen from; today if none.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write it as CSV, too.")] = None,
    pdf: Annotated[Path | None, typer.Option("--pdf", help="Write it as PDF, too.")] = None,
    idle_days: Annotated[int, typer.Option(min=1, help="No activity: no change for so many days.")] = 60,
    language: Annotated[Language, typer.Option("--language", help="Of the words.")] = "nb",
    tenant: TenantOption = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Show what a leader controls in a unit's open logs two or three times a year. Ids and dates, no names."""
    from hub.console import console
    from hub.documents import control as paper
    from hub.operate.control import control_round, logs_of_unit

    with _opened(config) as hub:
        found = _tenant(hub, tenant)
        day = on.date() if on else found.today()
        names = _names_of(hub, found, unit)
        page = control_round(logs_of_unit(found.db, found.logs, names), names[0], day, idle_days=idle_days)
    console.print(_table(paper.title(page, language), *paper.heads(language), rows=paper.lines(page, language)))
    console.print(paper.terms(page, language), paper.UNKNOWN.text(language), sep="\n", soft_wrap=True)
    if csv:
        _write(csv, paper.control_csv(page))
    if pdf:
        _write(pdf, paper.control_pdf(page, found.name, language))


@app.command()
def breach(
    since: Annotated[str, typer.Option("--from", help="First day, or an instant: 2026-11-02 or 2026-11-02T08:00.")],
    until: Annotated[str, typer.Option("--to", help="Last day, all of it, or an instant.")],
    connection: Annotated[str, typer.Option("--connection", help="One connection; all where none is named.")] = "",
    csv: Annotated[Path | None, typer.Option("--csv", help="Write it as CSV, too.")] = None,
    tenant: TenantOption = "",
    config: ConfigOption = CONFIG,
) -> None:
    """List which logs, parts and readers a faulty period reached. Ids, codes and counts; no one's data."""
    from hub.console import console
    from hub.operate.breach import HEAD, breach_csv, cells, reach

    within = _range(since, until)
    with _opened(config) as hub:
        found = hub.connection(connection)[0] if connection else _tenant(hub, tenant)
        asked = hub.connection(connection)[1].id if connection else ""
        sent = _sendings(found).between(within, asked)
    console.print(_table(f"{since} – {until}", *HEAD, rows=map(cells, sent)))
    counts = reach(sent)
    console.print(
        f"{counts.sendings} sendings, {counts.logs} logs, {counts.children} children, at most {counts.persons} persons "
        f"of their families with them; of {counts.unknown} logs the persons are not known. Staff are not counted",
        soft_wrap=True,
    )
    if csv:
        _write(csv, breach_csv(sent))


@contextmanager
def _opened(config: Path) -> Iterator[Hub]:
    """Open the hub of a configuration; no system is called."""
    from hub.bootstrap import open_hub, read_settings, system_clock

    with open_hub(read_settings(config, os.environ), system_clock()) as hub:
        yield hub


def _tenant(hub: Hub, number: str) -> Tenant:
    if (number or len(hub.tenants) != 1) and number not in hub.tenants:
        raise UnknownTenant(f"Name one municipality with --tenant: {', '.join(hub.tenants)}")
    return hub.tenants[number] if number else next(iter(hub.tenants.values()))


def _names_of(hub: Hub, tenant: Tenant, asked: str) -> list[str]:
    """Return all that a configured unit goes by, its name first; what was asked for alone where none is meant."""
    number = tenant.organisation_number
    for unit in (unit for each in hub.settings.tenants if each.organisation_number == number for unit in each.units):
        if asked in (unit.id, unit.name, unit.organisation_number):
            return [unit.name, unit.id, unit.organisation_number]
    return [asked]


def _tenant_of(hub: Hub, log_id: str) -> Tenant:
    """Find the municipality that has a log."""
    from hub.operate.opened import municipality_of

    number = municipality_of(hub.db, log_id)
    if number is None or number not in hub.tenants:
        raise UnknownLog("No log has this id. `hub inbox list` and `hub report control` show ids")
    return hub.tenants[number]


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


def _table(title: str, *columns: str, rows: Iterable[tuple[str, ...]]) -> Table:
    from rich.table import Table

    made = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def _write(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # one that was there may have been open to others
            file.write(content)
    except OSError as error:
        raise BadOption(f"The file cannot be written ({error.strerror}). Name one in a folder that is there") from None
    typer.echo(f"Made {path}")
