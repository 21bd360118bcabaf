"""`hub wipe`, `hub backup` and `hub restore`: what is kept, for how long, and how it comes back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.commands.shared import CONFIG, ConfigOption, WhoOption, opened

if TYPE_CHECKING:
    from hub.operate.keep import Keeper
    from hub.operate.settings import TenantSettings
    from hub.sync.context import Tenant

SHREDDED = "shredded"
"""The folder, in the data folder, with the list of what was shredded."""


def wipe(
    who: WhoOption,
    config: ConfigOption = CONFIG,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is due; wipe nothing.")] = False,
) -> None:
    """Shred archived logs whose term (`wipe_after`) is over, and what may be neither shared nor archived.

    Nothing is wiped before the archive's proof. It cannot be undone, by a backup neither.
    """
    from hub.operate.keep import Keeper
    from hub.store.wipe import ShredList

    with opened(config) as hub:
        listed, wiped = ShredList(hub.settings.data / SHREDDED), 0
        for settings in hub.settings.tenants:
            tenant = hub.tenants[settings.organisation_number]
            keeper = Keeper(hub.db.of(tenant.organisation_number), tenant.logs, tenant.work, listed, who)
            for line in _wiped(tenant, settings, keeper, dry_run=dry_run):
                typer.echo(line)
                wiped += not dry_run
        if wiped:
            hub.db.forget_deleted()


def _wiped(tenant: Tenant, settings: TenantSettings, keeper: Keeper, *, dry_run: bool) -> Iterator[str]:
    """Wipe what is due of one municipality, and tell each log."""
    from functools import partial

    from hub.sync.archive import content_hash

    now, rules = tenant.now(), tenant.rules(tenant.today())
    said = "would be wiped" if dry_run else "wiped"
    for log_id in keeper.unkept(rules, now):
        if dry_run or keeper.drop(log_id, rules, now):
            yield f"log {log_id}: {said}, may be neither shared nor archived"
    if settings.wipe_after is None:
        typer.echo(
            f"{tenant.name}: archived logs stay. Decide for how long, and write `wipe_after: 90d` in tenant.yaml"
        )
        return
    targets = [tenant.archive.id] if tenant.archive else []
    for log_id in keeper.due(targets, settings.wipe_after, now):
        if dry_run or keeper.wipe(log_id, partial(content_hash, tenant), now):
            yield f"log {log_id}: {said}, archived"


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
    from hub.store.wipe import ShredList

    listed = ShredList(read_settings(config, os.environ).data / SHREDDED)
    with closing(open_database(to)) as target:
        done = read_back(source, read_key(private_key), target, listed)
    typer.echo(
        f"Restored {sum(done.rows.values())} rows as they were at {done.made_at:%Y-%m-%d %H:%M} UTC; "
        f"{done.shredded} logs were shredded again"
    )
    typer.echo("`hub audit verify` will say that events written since are cut off: that is what was lost")
