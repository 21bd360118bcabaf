"""How results look in a terminal: tables and lines with ids, codes and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hub.operate.report import ConnectionStatus, InboxItem, TenantStatus, TraceLine
from hub.operate.words import decides
from hub.service.check import Check
from hub.store.connections import Stop, StopCode
from hub.sync.context import Tenant
from hub.sync.cycle import CycleResult

console = Console(highlight=False, emoji=False, markup=False)


def table(title: str, *columns: str) -> Table:
    """Return a table whose first column is words and the rest numbers."""
    made = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number == 0 else "right")
    return made


def listing(title: str, *columns: str, rows: Iterable[Sequence[str]] = ()) -> Table:
    """Return a table of words, which are folded where there is little room."""
    made = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def show_cycle(tenant: Tenant, result: CycleResult, *, dry_run: bool) -> None:
    """Show what a sync did, or would do."""
    made = table(
        tenant.name, "connection", "read", "new", "changed", "quarantined", "would send" if dry_run else "sent"
    )
    for connection, pulled in result.pulls.items():
        counts = [str(pulled.counts.get(name, 0)) for name in ("read", "new", "changed", "quarantined")]
        sent = (result.planned if dry_run else result.sent).get(connection, 0)
        made.add_row(short(connection), *counts, str(sent))
    console.print(made)
    for connection, pulled in result.pulls.items():
        if pulled.error:
            console.print(f"{connection}: {pulled.error}: {pulled.remedy}", style="bold red", soft_wrap=True)
    if not dry_run:
        console.print(f"Archived: {len(result.archived)}")


def show_status(name: str, status: TenantStatus) -> None:
    """Show how a municipality stands."""
    columns = ("connection", "last run", "logs", "sent", "waits", "unknown", "failed", "held", "refused", "disputed")
    made = table(f"{name} ({status.tenant}): {status.logs} logs, {status.archived} archived", *columns)
    for each in status.connections:
        last = f"{each.last_run} {each.last_ended_at:%d.%m %H:%M}" if each.last_ended_at else each.last_run or "never"
        numbers = (each.records, each.sent, each.waiting, each.unknown, each.failed, each.held, each.quarantined)
        made.add_row(short(each.connection), last, *(str(number) for number in (*numbers, each.conflicts)))
    console.print(made)
    for each in status.connections:
        if each.stop:
            console.print(f"{each.connection}: {_stopped(each.stop)}", style="bold yellow")
        if each.next_try_at:
            console.print(f"{each.connection}: {each.last_error or 'queued'}, next try {_clock(each.next_try_at)}")
        elif each.last_error:
            console.print(f"{each.connection}: the last run ended with {each.last_error}", style="bold red")
        for code, count in each.stuck.items():
            console.print(f"{each.connection}: {count} not sent: {code}", style="bold red")
        _show_stuck(each)
    _show_archive(status)
    show_held(status.held)
    if status.proposals:
        console.print(f"Proposals that wait for a person: {status.proposals}")


def _show_archive(status: TenantStatus) -> None:
    """Show what of the archive does not go by itself."""
    if status.archive_stop:
        console.print(f"{status.archive}: {_stopped(status.archive_stop)}", style="bold yellow")
    if status.archiving:
        console.print(f"On the way to the archive: {status.archiving}")
    if status.archive_failed:
        told = "packages are not in the archive. Mend what is wrong, then `hub inbox replay ID --who … --why …`:"
        console.print(f"{status.archive_failed} {told}", style="bold red", soft_wrap=True)
        for delivery_id, code in status.archive_stuck.items():
            console.print(f"  {delivery_id} {code}", soft_wrap=True)
    if status.unarchived:
        told = "closed logs have waited too long for the archive's receipt. `hub report control` names them by unit"
        console.print(f"{status.unarchived} {told}", style="bold red", soft_wrap=True)


def _show_stuck(status: ConnectionStatus) -> None:
    """Show the oldest changes that were not sent, each with the command that decides on it."""
    if not status.stuck_first:
        return
    told = "Mend what is wrong first. Where it says --sent|--not-sent, look in the system and say what you found:"
    console.print(f"  {told}", soft_wrap=True)
    for delivery in status.stuck_first:
        console.print(f"  {delivery.code or 'failed'}: {decides(delivery)}", soft_wrap=True)
    if more := status.failed - len(status.stuck_first):
        console.print(f"  and {more} more, told when these are decided", soft_wrap=True)


def _stopped(stop: Stop) -> str:
    """Say what stops a connection."""
    return {
        StopCode.PAUSED: f"paused by {stop.by}; `hub resume` lets it go on",
        StopCode.PARKED: f"waits for the system until {_clock(stop.until)}",
        StopCode.BREAKER_OPEN: f"the breaker is open, next try {_clock(stop.until)}",
        StopCode.RATE_LIMITED: f"all turns are taken until {_clock(stop.until)}",
    }[stop.code]


def _clock(instant: datetime) -> str:
    """Give an instant as the clock on the wall shows it."""
    return f"{instant.astimezone():%d.%m %H:%M}"


def short(connection: str) -> str:
    """Return a connection's name without its municipality."""
    return connection.rpartition("/")[2]


def show_held(held: dict[str, int]) -> None:
    """Show what is held, by reason."""
    _show_counts("Held until released", "reason", "holds", held)


def show_asked(asked: dict[str, int]) -> None:
    """Show what waits for people beside what is held: by kind, and by reason where it has one."""
    _show_counts("Asked of people", "what", "number", asked)


def _show_counts(title: str, what: str, number: str, counts: Mapping[str, int]) -> None:
    """Show what was counted, where anything was."""
    if counts:
        made = table(title, what, number)
        for name, count in counts.items():
            made.add_row(name, str(count))
        console.print(made)


def show_inbox(name: str, items: list[InboxItem]) -> None:
    """Show what waits for a person, a few lines each."""
    console.print(f"{name}: {len(items)} waiting", style="bold")
    for item in items:
        show_item(item, [])


def show_item(item: InboxItem, choices: Iterable[tuple[str, str]]) -> None:
    """Show one thing that waits, and what each choice leads to."""
    console.print(f"{item.kind}: {item.reason}", style="bold", end="")
    console.print(f"  since {item.since:%Y-%m-%d %H:%M}, decided by {item.addressed_to}")
    where = (("connection", item.connection), ("place", item.place), ("log", item.log), ("id", item.id))
    for word, value in where:
        if value:
            console.print(f"  {word} {value}", soft_wrap=True)
    for command, leads_to in choices:
        console.print(f"  {command}", soft_wrap=True)
        console.print(f"    {leads_to}", soft_wrap=True)


def show_trace(lines: Iterable[TraceLine]) -> None:
    """Show what happened, in order."""
    for line in lines:
        by = "" if line.actor == "hub" else f" ({line.actor})"
        console.print(f"{line.at:%Y-%m-%d %H:%M:%S} {line.kind} {line.id}: {line.what}{by}", soft_wrap=True)


def show_checks(checks: Iterable[Check]) -> bool:
    """Show what was checked; return whether all is well."""
    well = True
    for check in checks:
        well &= check.well
        console.print("ok  " if check.well else "fail", style="green" if check.well else "bold red", end=" ")
        console.print(f"{check.what}: {check.detail}", soft_wrap=True)
    return well
