"""`hub keys`: makes, changes and takes away the keys that seal what a municipality stores, and those of backups."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.commands.shared import CONFIG, ConfigOption, WhoOption, opened

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.operate.settings import HubSettings, TenantSettings
    from hub.store.sealing import KeyFile, KeyText
    from hub.store.wrapped import WrappedKeyFile

app = typer.Typer(help="The keys that seal everything a municipality stores.", no_args_is_help=True)
TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="Organisation number of the municipality.")]


class NoKeyFile(Exception):
    """A municipality's keys do not come from a file that the hub can change, or there is no such municipality."""


@app.command()
def new(path: Annotated[Path, typer.Argument(help="The file to make; outside the configuration folder.")]) -> None:
    """Make a key file for one municipality. Keep a copy where the backups are not: without it nothing opens."""
    from hub.store.sealing import new_key_file

    new_key_file(path)
    typer.echo(f"Made {path}. Name it as key_file in tenant.yaml, and keep a copy apart from the backups.")


@app.command()
def wrap(
    tenant: TenantArgument,
    key_file: Annotated[Path, typer.Argument(help="The key file, as `hub keys new` made it.")],
    config: ConfigOption = CONFIG,
) -> None:
    """Have the key service of a municipality wrap a key file, and write that to `wrapped` of its `key_service`.

    Then move the key file to the municipality's own vault: on this machine it is no longer needed.
    """
    from hub.bootstrap import read_settings, system_clock, wrapped_keys
    from hub.store.sealing import KeyFile

    service = _settings_of(read_settings(config, os.environ), tenant).key_service
    if service is None:
        raise NoKeyFile(f"{tenant}: no key_service. Write one into its tenant.yaml, in the place of key_file")
    if service.wrapped.exists():
        raise NoKeyFile(f"{service.wrapped}: there is a wrapped key already. Move it away if it is to be replaced")
    material, wrapped = KeyFile(key_file, tenant).read(), wrapped_keys(service, tenant, system_clock())
    wrapped.write(material)
    if wrapped.read() != material:
        service.wrapped.unlink()
        raise NoKeyFile(
            f"{service.wrapped}: opened to something else than was wrapped, and was not kept. Ask the service's keepers"
        )
    typer.echo(f"Made {service.wrapped}, and the key service opens it. Run `hub check`")
    typer.echo(f"Then move {key_file} to the municipality's own vault, and delete it here")


@app.command()
def rotate(tenant: TenantArgument, who: WhoOption, config: ConfigOption = CONFIG) -> None:
    """Wrap every data key by a new key. Bodies stay as they lie; a rotation that was cut off goes on.

    Where the keys come from the environment, put a version there first: everything is wrapped by its `current`.
    """
    from hub.store.rotation import rewrap
    from hub.store.rotation import rotate as rotate_file
    from hub.store.sealing import KeyText, tenant_keys

    with opened(config) as hub:
        source, now = _source(hub, tenant), datetime.now(UTC)
        if not isinstance(source, KeyText):
            version, done = rotate_file(hub.db, source, who, now)
        else:
            keys = tenant_keys(source, tenant)
            version, done = keys.current, rewrap(hub.db, keys, who, now)
    typer.echo(
        f"{done} data keys are wrapped by version {version} now. Keep a copy of the keys apart from the backups."
    )
    typer.echo(
        f"Older versions open older backups. After an hour `hub keys retire {tenant}` takes them out of the file"
    )


@app.command()
def retire(tenant: TenantArgument, who: WhoOption, config: ConfigOption = CONFIG) -> None:
    """Take the older versions out of a key file when nothing uses them. Older backups need a copy that has them."""
    from hub.store.rotation import retire as retire_versions
    from hub.store.sealing import KeyText

    with opened(config) as hub:
        source = _source(hub, tenant)
        if isinstance(source, KeyText):
            raise NoKeyFile(f"{tenant}: the keys come as text. Take the older versions out where they are kept")
        old = retire_versions(hub.db, source, who, datetime.now(UTC))
    typer.echo(f"Taken out: {', '.join(map(str, old)) or 'nothing'}")


@app.command()
def backup(
    private: Annotated[Path, typer.Argument(help="File of the private key; keep it away from the hub's machine.")],
    public: Annotated[Path, typer.Argument(help="File of the public key, which `hub backup` is given.")],
) -> None:
    """Make a key pair for backups. Whoever has the private key can restore them; the public one can only make them."""
    from hub.store.backup import new_key_pair

    new_key_pair(private, public)
    typer.echo(f"Made {private} and {public}. Move {private} to where no backup and no hub is.")


def _source(hub: Hub, tenant: str) -> KeyFile | KeyText | WrappedKeyFile:
    from hub.bootstrap import key_source, system_clock

    return key_source(_settings_of(hub.settings, tenant), system_clock())


def _settings_of(settings: HubSettings, tenant: str) -> TenantSettings:
    known = {each.organisation_number: each for each in settings.tenants}
    if tenant not in known:
        raise NoKeyFile(f"No such municipality. Known: {', '.join(known)}")
    return known[tenant]
