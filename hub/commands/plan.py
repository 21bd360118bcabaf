"""`hub plan`: shows what an individual plan after a log would hold, and has it made when a person asks for it.

The child's name and number come from the log. The leader's, and numbers that the log lacks, come from a file, so that
nobody's number stands on a command line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.commands.shared import (
    CONFIG,
    ConfigOption,
    Language,
    LogArgument,
    WhoOption,
    WhyOption,
    ask_as_holder,
    opened,
    tenant_of,
)

if TYPE_CHECKING:
    from hub.sync.plans import Asked, Planner

app = typer.Typer(help="The individual plan after a log that was closed for one.", no_args_is_help=True)

LEAD = "lead"
"""How the line of the plan's leader begins in the file of people."""


class BadPeople(Exception):
    """The file of people can't be read. Says which line, never what stands there."""


@app.command()
def show(log: LogArgument, who: WhoOption, config: ConfigOption = CONFIG) -> None:
    """Tell where the plan would be made, what stops that, and who can be ticked. Nobody is named."""
    from hub.relaylog.model import Guardian
    from hub.relaylog.planning import BEFORE

    with _planner(config, log, who) as planner:
        found = planner.standing(log)
    typer.echo(f"to be made in {found.connection}. {BEFORE.en}")
    for stop in found.stops:
        typer.echo(f"stopped: {'special_rule' if stop.revealing else f'{stop.reason}, until {stop.releases_when}'}")
    for row in found.asked:
        typer.echo(f"asked for before: delivery {row.delivery_id} is {row.state}")
    for one in found.fitting:
        told = f"guardian, {one.relation}" if isinstance(one, Guardian) else f"{one.role}, {one.service}"
        number = "" if isinstance(one, Guardian) and one.national_id else "; needs a national id in the file of people"
        typer.echo(f"can be ticked: {one.id} ({told}{number})")


@app.command()
def affiliations(
    log: LogArgument,
    who: WhoOption,
    language: Annotated[Language, typer.Option("--language", help="Of the names.")] = "nb",
    config: ConfigOption = CONFIG,
) -> None:
    """Ask the system where the plan can belong: ids, as `hub plan create --affiliation` takes one, and names."""
    with _planner(config, log, who, calls=True) as planner:
        found = planner.affiliations(log, language)
    for each in found:
        typer.echo(f"{each.id}  {each.name}")
    if not found:
        typer.echo("The system lists none.")


@app.command()
def create(
    log: LogArgument,
    people: Annotated[
        str,
        typer.Option(
            "--people",
            metavar="FILE",
            help="Lines `lead NATIONAL-ID NAME` and, for who lacks one in the log, `ID NATIONAL-ID`; - is stdin.",
        ),
    ],
    who: WhoOption,
    why: WhyOption,
    participant: Annotated[
        list[str] | None,
        typer.Option("--participant", metavar="ID", help="One who takes part, as `hub plan show` lists; repeat it."),
    ] = None,
    affiliation: Annotated[
        str, typer.Option("--affiliation", metavar="ID", help="Where it belongs, as `hub plan affiliations` lists.")
    ] = "",
    config: ConfigOption = CONFIG,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="You know what it does, and are not asked.")] = False,
) -> None:
    """Make the individual plan, once. It makes accounts, and gives its leader a lasting right."""
    from hub.relaylog.planning import BEFORE
    from hub.store.decisions import Who

    asked = replace(_asked(people, participant or []), affiliation=affiliation)
    typer.echo(f"{BEFORE.en} Participants ticked: {len(asked.ticked)}.")
    if not yes:
        typer.confirm("Make it?", abort=True)
    with _planner(config, log, who, calls=True) as planner:
        typer.echo(_SAID[planner.create(log, asked, Who(who, why))])


_SAID = {
    "made": "Made. The receipt is kept, and the task is gone.",
    "later": "The answer was lost, and the system can't be looked at now. The hub looks again; it sends nothing again.",
    "held": "The answer was lost, and no such plan is seen there. Look yourself: `hub plan show` tells what to answer.",
    "taken": "Another process looks whether it was made. `hub plan show` tells how it goes.",
}
"""What is said of each outcome."""


def _asked(people: str, ticked: list[str]) -> Asked:
    """Read the file of people. Raises BadPeople."""
    from hub.connectors.base import PlanPerson
    from hub.sync.plans import Asked

    try:
        text = sys.stdin.read() if people == "-" else Path(people).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadPeople("--people: the file can't be read. Name a text file in UTF-8, or - for stdin") from None
    lead, numbers = None, {}
    for line, words in enumerate((line.split() for line in text.splitlines()), 1):
        if not words:
            continue
        if words[0] == LEAD and len(words) > 2 and lead is None:
            lead = PlanPerson(" ".join(words[2:]), words[1])
        elif words[0] != LEAD and len(words) == 2:
            numbers[words[0]] = words[1]
        else:
            raise BadPeople(f"--people: line {line} is neither `lead NATIONAL-ID NAME`, once, nor `ID NATIONAL-ID`")
    if lead is None:
        raise BadPeople("--people: no line `lead NATIONAL-ID NAME` says who leads the plan")
    return Asked(lead, tuple(ticked), numbers)


@contextmanager
def _planner(config: Path, log_id: str, who: str, *, calls: bool = False) -> Iterator[Planner]:
    """Find who makes plans for the municipality of a log, after asking for the holder's role. Raises NotAllowed."""
    from hub.operate.process import owner
    from hub.sync.plans import Planner

    with opened(config, calls=calls) as hub:
        tenant = tenant_of(hub, log_id, "`hub inbox list --kind task` and `hub inbox show` tell ids")
        with tenant.db.read() as tx:
            log = tenant.logs.load(tx, log_id).log
        ask_as_holder(hub, tenant, log, who)
        yield Planner(tenant, owner())
