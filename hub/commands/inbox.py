"""`hub inbox`: lists, shows and decides what waits for a person. Heavy rooms are imported when a command needs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hub.commands.shared import (
    CONFIG,
    ConfigOption,
    JsonOption,
    PurposeOption,
    RevealedToOption,
    WhyOption,
    ask,
    log_facts,
    opened,
)

if TYPE_CHECKING:
    from pathlib import Path

    from hub.bootstrap import Hub
    from hub.operate.report import InboxItem
    from hub.operate.roles import LogFacts
    from hub.store.decisions import Who
    from hub.sync.context import Tenant
    from hub.sync.decide import Decisions

app = typer.Typer(
    help="What waits for a person: holds, conflicts, quarantine, proposals, differences and tasks.",
    no_args_is_help=True,
)


class Kind(StrEnum):
    """The kinds of what waits."""

    HOLD = "hold"
    CONFLICT = "conflict"
    QUARANTINE = "quarantine"
    PROPOSAL = "proposal"
    DIFFERENCE = "difference"
    TASK = "task"


Id = Annotated[str, typer.Argument(metavar="ID", help="An id that `hub inbox list` shows.")]
DeciderOption = Annotated[
    str, typer.Option("--who", help="Your user id, of whoever it waits for; it stands in the log of events.")
]


class NotThere(Exception):
    """Nothing with this id waits for anybody."""


class NothingNamed(Exception):
    """A command was told neither what to do nor to what."""


@app.command("list")
def list_waiting(
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only these.")] = None,
    connection: Annotated[str, typer.Option("--connection", help="Only what is about this connection.")] = "",
    config: ConfigOption = CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """List what waits for a person. No one's data is shown, and reasons that reveal are not told."""
    from hub.commands.console import show_inbox
    from hub.operate.report import Reports

    with opened(config) as hub:
        wanted = hub.connection(connection)[1].id if connection else ""
        found = {number: Reports(hub.db).inbox(number, kind or "", wanted) for number in hub.tenants}
        if as_json:
            typer.echo(json.dumps([_as_json(number, item) for number in found for item in found[number]], indent=1))
            return
        for number, tenant in hub.tenants.items():
            show_inbox(tenant.name, found[number])


def _as_json(tenant: str, item: InboxItem) -> dict[str, str]:
    names = ("kind", "id", "log", "connection", "reason", "place", "addressed_to")
    return {"tenant": tenant, **{name: getattr(item, name) for name in names}, "since": item.since.isoformat()}


@app.command()
def show(
    item_id: Id,
    who: RevealedToOption = "",
    purpose: PurposeOption = "",
    config: ConfigOption = CONFIG,
    *,
    reveal: Annotated[
        bool,
        typer.Option("--reveal", help="Show a conflict's values, or a hold's reason. For its decider; it is kept."),
    ] = False,
) -> None:
    """Show one thing that waits, and what each choice leads to. No one's data is shown without --reveal."""
    from hub.commands.console import show_item
    from hub.operate.words import choices
    from hub.sync.decide import BY_A_PERSON

    if reveal and not (who and purpose):
        raise NothingNamed("Say who you are and what for: --who … --purpose …")
    asked = _who(who, purpose) if reveal else None
    with _deciding(config, item_id, asked, reveals=True) as (item, decisions):
        if asked is None:
            plans = any(each.plans for each in decisions.tenant.connections.values())
            show_item(item, choices(item, by_a_person=item.rule in BY_A_PERSON, plans=plans))
            return
        for name, value in _revealed(decisions, item, asked).items():
            typer.echo(f"{name}: {value}")


def _revealed(decisions: Decisions, item: InboxItem, who: Who) -> dict[str, str]:
    """Return what may be shown of a thing to whoever decides it."""
    if item.kind == Kind.HOLD:
        return {"reason": decisions.reason(item.id, who)}
    if item.kind == Kind.CONFLICT:
        return {name: json.dumps(value, ensure_ascii=False) for name, value in decisions.opened(item.id, who).items()}
    raise NothingNamed(f"A {item.kind} has nothing to reveal. `hub trace {item.log or item.id}` tells how it came")


@app.command()
def settle(
    item_id: Id,
    take: Annotated[str, typer.Option("--take", help="The connection whose value holds, or `log` for the log's own.")],
    who: DeciderOption,
    why: WhyOption,
    config: ConfigOption = CONFIG,
) -> None:
    """Choose which system's value holds in a conflict. The others are sent it; a new value is a new conflict."""
    by = _who(who, why)
    with _deciding(config, item_id, by) as (item, decisions):
        tenant = decisions.tenant.organisation_number
        decisions.settle(item.id, take if take == "log" or "/" in take else f"{tenant}/{take}", by)
        typer.echo("Settled. It goes out with the next sending.")


@app.command()
def release(item_id: Id, who: DeciderOption, why: WhyOption, config: ConfigOption = CONFIG) -> None:
    """Let a hold go as it stands now. Another situation is held anew."""
    _decide(config, item_id, who, why, "Released.", lambda decisions, by: decisions.release(item_id, by))


@app.command()
def accept(
    item_id: Id,
    who: DeciderOption,
    why: WhyOption,
    into: Annotated[str, typer.Option("--into", help="Of a match with several logs: the log to join.")] = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Accept a proposal: two logs become one, a deletion is taken over, or a guardian is let into the log."""
    _decide(config, item_id, who, why, "Accepted.", lambda decisions, by: decisions.accept(item_id, by, into))


@app.command()
def refuse(item_id: Id, who: DeciderOption, why: WhyOption, config: ConfigOption = CONFIG) -> None:
    """Refuse a proposal: two logs stay apart, what was deleted is written back, or a guardian stays out."""
    _decide(config, item_id, who, why, "Refused.", lambda decisions, by: decisions.refuse(item_id, by))


@app.command()
def replay(
    who: DeciderOption,
    why: WhyOption,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="In quarantine, or deliveries.")] = None,
    connection: Annotated[str, typer.Option("--connection", help="All in quarantine of this connection.")] = "",
    config: ConfigOption = CONFIG,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that is in quarantine.")] = False,
    sent: Annotated[
        bool | None,
        typer.Option("--sent/--not-sent", help="Of a delivery of unknown outcome: what you found at the receiver."),
    ] = None,
) -> None:
    """Take records in quarantine in again as they were kept, or try deliveries again that failed or are held."""
    if not (ids or connection or everything):
        raise NothingNamed("Name ids, or use --connection or --all")
    by = _who(who, why)
    with opened(config) as hub:
        wanted = hub.connection(connection)[1].id if connection else ""
        _ask_to_replay(hub, ids, wanted, by)
        told = [line for tenant in hub.tenants.values() for line in _replay(tenant, ids, wanted, by, sent=sent)]
    if not told:
        raise NotThere("Nothing of this waits, or it is being taken in already. `hub inbox list` shows what waits")
    typer.echo("\n".join(told))


@app.command()
def close(item_id: Id, who: DeciderOption, why: WhyOption, config: ConfigOption = CONFIG) -> None:
    """Close a difference that you have looked into, or a record in quarantine that nobody will mend.

    A later count may find the difference again. What was kept of the record is deleted; refused again, it waits again.
    """
    by = _who(who, why)
    with _deciding(config, item_id, by) as (item, decisions):
        (decisions.dismiss if item.kind == Kind.QUARANTINE else decisions.close)(item_id, by)
        typer.echo("Closed.")


@app.command("same-person")
def same_person(item_id: Id, who: DeciderOption, why: WhyOption, config: ConfigOption = CONFIG) -> None:
    """Say that a record in quarantine for another person's number is the same child's: it is taken in with it."""
    _decide(config, item_id, who, why, "Taken in.", lambda decisions, by: decisions.same_person(item_id, by))


@app.command("another-person")
def another_person(item_id: Id, who: DeciderOption, why: WhyOption, config: ConfigOption = CONFIG) -> None:
    """Say that a record in quarantine for another person's number is another child's: it leaves its log.

    It is taken in as if it were new, and nothing of the log it comes to is sent before somebody has released that.
    """
    said = "Taken out. Look in the system for what the record still says of the first child, then release the hold."
    _decide(config, item_id, who, why, said, lambda decisions, by: decisions.another_person(item_id, by))


@app.command()
def done(
    item_id: Id,
    who: Annotated[str, typer.Option("--who", help="Your user id; it is kept with the task.")],
    config: ConfigOption = CONFIG,
) -> None:
    """Note that a task is done: what was sent is used no more, a log is deleted there, or a plan is seen to."""
    from hub.sync.tasks import done as tick_off

    _decide(config, item_id, who, "", "Done.", lambda decisions, by: tick_off(decisions.tenant, item_id, by.id))


def _replay(tenant: Tenant, ids: list[str] | None, connection: str, who: Who, *, sent: bool | None) -> Iterator[str]:
    """Do what was asked of one municipality, and tell what came of it."""
    from hub.operate.process import owner
    from hub.sync.cycle import Cycle
    from hub.sync.replay import ask_replay, replay_delivery

    with tenant.db.read() as tx:
        known = tenant.work.known_deliveries(tx, ids or [])
    for delivery_id in known:
        replay_delivery(tenant, delivery_id, who, sent=sent)
        yield f"delivery {delivery_id}: decided"
    records = None if ids is None else [each for each in ids if each not in known]
    cycle = Cycle(tenant, owner())
    for each in tenant.connections.values() if records is None or records else ():
        run_id = ask_replay(tenant, who, each.id, records) if connection in ("", each.id) else None
        if run_id:
            counts = cycle.pull(each, run_id).counts
            yield f"{each.id}: " + ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    cycle.route()


def _who(who: str, why: str) -> Who:
    from hub.store.decisions import Who

    return Who(who, why)


@contextmanager
def _deciding(
    config: Path, item_id: str, who: Who | None = None, *, reveals: bool = False
) -> Iterator[tuple[InboxItem, Decisions]]:
    """Find what waits under an id, in whichever municipality, with what decides on it. Raises NotThere.

    Where `who` decides, or has something revealed, a role for it is asked first. Raises NotAllowed.
    """
    from hub.operate.report import Reports
    from hub.sync.decide import Decisions

    with opened(config) as hub:
        for number, tenant in hub.tenants.items():
            item = Reports(hub.db).item(number, item_id)
            if item is not None:
                if who is not None:
                    _ask(hub, tenant, item, who, reveals=reveals)
                yield item, Decisions(tenant)
                return
    raise NotThere("Nothing waits under this id. `hub inbox list` shows what does")


def _ask(hub: Hub, tenant: Tenant, item: InboxItem, who: Who, *, reveals: bool) -> None:
    """Ask for the role that something takes. A conflict's values are the log's text; a reason alone is not."""
    from hub.operate.roles import Act

    opens = reveals and item.kind == Kind.CONFLICT
    facts = replace(_facts(hub, tenant, item, opens=opens), addressed_to=item.addressed_to)
    act = Act.READ if opens else Act.REASON if reveals else Act.DECIDE
    ask(hub, tenant, who.id, act, facts, (item.kind, item.id), who.why)


def _facts(hub: Hub, tenant: Tenant, item: InboxItem, *, opens: bool) -> LogFacts:
    """Return what a role is held against: the log of a thing, and the unit that a task is for.

    A task's unit does what it is asked also where the log does not open.
    """
    from hub.operate.roles import LogFacts, names_of
    from hub.sync.tasks import standing_tasks

    facts = log_facts(hub, tenant, item.log, opens=opens) if item.log else LogFacts()
    if item.kind != Kind.TASK:
        return facts
    with tenant.db.read() as tx:
        tasks = standing_tasks(tenant, tx, [item.log]).get(item.log, [])
    asked = {row.unit_id for row in tasks if row.task_id == item.id} - {""}
    return replace(facts, unit=facts.unit | names_of(asked, hub.settings_of(tenant)))


def _ask_to_replay(hub: Hub, ids: list[str] | None, connection: str, who: Who) -> None:
    """Ask for the role that quarantine and deliveries wait for, in each municipality that any of it is of."""
    from hub.operate.report import Reports
    from hub.operate.roles import Act, LogFacts
    from hub.operate.settings.model import Role

    facts = LogFacts(addressed_to=Role.OPERATOR)
    for number, tenant in hub.tenants.items():
        with tenant.db.read() as tx:
            found = [("delivery", each) for each in tenant.work.known_deliveries(tx, ids or [])]
        kept = {item.id for item in Reports(hub.db).inbox(number, Kind.QUARANTINE)} & set(ids or [])
        found += [("quarantine", each) for each in sorted(kept)]
        if ids is None and connection.partition("/")[0] in ("", number):
            found = [("tenant", number)]
        for subject in found:
            ask(hub, tenant, who.id, Act.DECIDE, facts, subject, who.why)


def _decide(
    config: Path, item_id: str, who: str, why: str, said: str, decide: Callable[[Decisions, Who], None]
) -> None:
    """Have something decided in a person's name, and say so."""
    by = _who(who, why)
    with _deciding(config, item_id, by) as (_, decisions):
        decide(decisions, by)
        typer.echo(said)
