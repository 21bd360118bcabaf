"""`hub audit`: chains the log of events and shows that nothing of it was changed, taken out or cut off."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.commands.shared import CONFIG, ConfigOption, opened

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.operate.audit import Heads

app = typer.Typer(help="The log of events, and the proof that it is whole.", no_args_is_help=True)
DirOption = Annotated[
    Path | None, typer.Option("--dir", help="Folder with the heads of each day; `heads` in the data folder if none.")
]
_CODES = {"changed": "was changed", "gap": "is gone", "cut": "was there and is cut off"}


@app.command()
def verify(directory: DirOption = None, config: ConfigOption = CONFIG) -> None:
    """Hold the log of events against its own chain and the heads that were kept of it. Exit code 1 where it fails."""
    from hub.operate.audit import verdict

    with opened(config) as hub:
        heads = _heads(hub, directory)
        found = [verdict(hub.db, number, heads) for number in hub.tenants]
    for one in found:
        for problem in one.problems:
            typer.echo(f"{one.tenant}: event {problem.position} {_CODES[problem.code]}", err=True)
        if not one.problems:
            held = f"{one.heads} heads" if one.heads else "no head, so that nothing tells what was cut off at the end"
            typer.echo(f"{one.tenant}: whole, held against {held}")
    if any(one.problems for one in found):
        sys.exit(1)


@app.command()
def chain(directory: DirOption = None, config: ConfigOption = CONFIG) -> None:
    """Chain what was appended since, and keep today's head. `hub run` and `hub scheduler` do it every few seconds."""
    from hub.operate.audit import chain_all

    with opened(config) as hub:
        heads = _heads(hub, directory)
        for number, tenant in hub.tenants.items():
            chain_all(hub.db, [number], heads, tenant.today())
    typer.echo(f"Chained. Copy {heads.folder} to where the hub cannot write")


def _heads(hub: Hub, directory: Path | None) -> Heads:
    from hub.operate.audit import HEADS, Heads

    return Heads(directory or hub.settings.data / HEADS)
