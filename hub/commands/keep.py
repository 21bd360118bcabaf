"""`hub wipe`, `hub backup` and `hub restore`: what is kept, for how long, and how it comes back."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hub.commands.shared import CONFIG, ConfigOption, WhoOption, opened


def wipe(
    who: WhoOption,
    config: ConfigOption = CONFIG,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is due; wipe nothing.")] = False,
) -> None:
    """Shred archived logs whose term (`wipe_after`) is over, and what may be neither shared nor archived.

    `hub run` does it by itself each night. Nothing is wiped before the archive's proof. It cannot be undone, by a
    backup neither.
    """
    from hub.service.wipe import Wiping, wiped

    told = {
        Wiping.ARCHIVED: "archived",
        Wiping.NOT_KEPT: "may be neither shared nor archived",
        Wiping.DAMAGED: "NOT WIPED: it does not open. Look at its key, or restore it from a backup",
    }
    with opened(config) as hub:
        for tenant in hub.tenants.values():
            for log_id, why in wiped(hub, tenant, who, dry_run=dry_run):
                said = "" if why is Wiping.DAMAGED else "would be wiped, " if dry_run else "wiped, "
                typer.echo(f"log {log_id}: {said}{told[why]}")
            if hub.settings_of(tenant).wipe_after is None:
                remedy = "Decide for how long, and write `wipe_after: 90d` in tenant.yaml"
                typer.echo(f"{tenant.name}: archived logs stay. {remedy}")
        if not dry_run:
            hub.db.forget_deleted()


def backup(
    to: Annotated[Path, typer.Option("--to", help="The file to make.")],
    public_key: Annotated[Path, typer.Option("--public-key", help="Made by `hub keys backup`.")],
    who: WhoOption,
    config: ConfigOption = CONFIG,
) -> None:
    """Write the whole store to one file that only the private key opens. Others may work meanwhile.

    No municipality's key is in it: keep copies of the key files apart. The shred list and the heads lie beside the
    store; copy them, too.
    """
    from hub.store.backup import back_up
    from hub.store.backup import public_key as read_key
    from hub.store.events import Action, append

    with opened(config) as hub:
        key, now = read_key(public_key), datetime.now(UTC)
        rows = back_up(hub.db, to, key, now)
        for number in hub.tenants:
            with hub.db.of(number).write() as tx:
                append(tx, number, Action.PERSON_STORE_BACKED_UP, "tenant", number, who, now)
    typer.echo(f"Made {to}: {sum(rows.values())} rows of {len(rows)} tables")


def restore(
    source: Annotated[Path, typer.Option("--from", help="A file that `hub backup` made.")],
    private_key: Annotated[Path, typer.Option("--private-key", help="Made by `hub keys backup`.")],
    to: Annotated[str, typer.Option("--to", help="An empty database: sqlite:////… or postgresql+psycopg://…")],
    config: ConfigOption = CONFIG,
) -> None:
    """Read a backup into an empty database, and shred there what was shredded since. All of it is done, or nothing.

    What was shredded is read from the data folder that the configuration names.
    """
    from hub.bootstrap import read_settings
    from hub.store.backup import private_key as read_key
    from hub.store.backup import restore as read_back
    from hub.store.database import open_database
    from hub.store.wipe import SHREDDED, ShredList

    listed = ShredList(read_settings(config, os.environ).data / SHREDDED)
    with closing(open_database(to)) as target:
        done = read_back(source, read_key(private_key), target, listed)
    typer.echo(
        f"Restored {sum(done.rows.values())} rows as they were at {done.made_at:%Y-%m-%d %H:%M} UTC; "
        f"{done.shredded} logs were shredded again"
    )
    typer.echo("`hub audit verify` will say that events written since are cut off: that is what was lost")
