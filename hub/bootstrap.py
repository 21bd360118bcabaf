"""Wires everything once: from a configuration folder to tenants whose connections, rules and stores are ready.

Here alone it is decided which connector speaks to which system, and whether an assumed profile may run at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel

from hub.connectors import files, relaylog, samspill, vigilo
from hub.connectors.archive.encryption import Encrypt
from hub.connectors.archive.folder import FolderArchive
from hub.connectors.base import Connector, ConnectorError, Gate, Spec, Tree, Unavailable
from hub.connectors.http import Clock, Http, HttpSettings, Limits
from hub.connectors.mail import Mailer, MailServer
from hub.connectors.transit import Transit
from hub.documents.arkivmelding import ArchiveSettings
from hub.mappings import load_shipped, mappings_of, shipped
from hub.mappings.language import Mapping as TemplateMapping
from hub.mappings.language import MappingError
from hub.operate.mappings.versions import active_mappings
from hub.operate.settings import (
    ConnectionSettings,
    HubSettings,
    KeyServiceSettings,
    MailSettings,
    TenantSettings,
    load_settings,
)
from hub.payloads.registry import payload
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules
from hub.relaylog.life import LifePolicy
from hub.relaylog.sharing import Sharing
from hub.sandbox.proof import PROOF_FILE, check_proof
from hub.store.connections import ConnectionState, GateRules
from hub.store.database import Database, open_database
from hub.store.ids import new_id
from hub.store.inbox import Inbox
from hub.store.logs import LogStore
from hub.store.sealing import KeyFile, KeyFileError, KeyText, TenantKeys, tenant_keys
from hub.store.work import WorkStore
from hub.store.wrapped import WrappedKeyFile
from hub.sync.context import Archive, Connection, Tenant
from hub.sync.gate import RowGate


@dataclass(frozen=True)
class System:
    """A kind of system that a connection may name: what it says of itself, its settings, and how it is made."""

    spec: Spec
    settings: type[BaseModel]
    make: Callable[[BaseModel, Surroundings], Connector]


@dataclass(frozen=True)
class Surroundings:
    """What a connector is made with besides its own settings."""

    limits: Limits
    clock: Clock
    profile: Mapping[str, str]
    mapping: TemplateMapping
    gate: Gate


def _vigilo(settings: BaseModel, around: Surroundings) -> Connector:
    own = vigilo.Settings.model_validate(settings)
    return vigilo.Vigilo(own, around.limits, around.clock, around.profile, around.gate)


def _samspill(settings: BaseModel, around: Surroundings) -> Connector:
    own = samspill.Settings.model_validate(settings)
    return samspill.Samspill(own, around.limits, around.clock, around.profile, around.gate)


def _relaylog(settings: BaseModel, around: Surroundings) -> Connector:
    own = relaylog.Settings.model_validate(settings)
    return relaylog.RelayLogs(own, around.limits, around.clock, around.profile, around.gate)


def _folder(settings: BaseModel, around: Surroundings) -> Connector:
    mapping = around.mapping
    template = files.Template(payload(mapping.payload, mapping.payload_options), partial(_named, mapping))
    return files.Folder(files.Settings.model_validate(settings), template, around.clock, around.gate)


def _named(mapping: TemplateMapping, tree: Tree) -> str:
    """Return a record's own id; "" where the mapping cannot read it, which the record will be refused for."""
    try:
        return mapping.read(tree).source.id
    except MappingError:
        return ""


SYSTEMS: Mapping[str, System] = MappingProxyType(
    {
        "vigilo": System(vigilo.SPEC, vigilo.Settings, _vigilo),
        "samspill": System(samspill.SPEC, samspill.Settings, _samspill),
        "relaylog": System(relaylog.SPEC, relaylog.Settings, _relaylog),
        "folder": System(files.SPEC, files.Settings, _folder),
    }
)
RULES: Mapping[str, type[BaseModel]] = MappingProxyType(
    {"sharing": Sharing, "consent": ConsentPolicy, "life": LifePolicy, "archive": ArchiveSettings}
)


class NotConfirmed(Exception):
    """A connection rests on assumptions that nobody has confirmed, and the other end has not proved to be a sandbox."""


class UnknownMapping(Exception):
    """A connection names a mapping that is neither shipped, nor in the municipality's folder, nor frozen."""


class UnknownProfileSetting(Exception):
    """A connection overrides a path that its system's profile does not have."""


def system_clock() -> Clock:
    """Return the machine's own time."""
    return Clock(now=lambda: datetime.now(UTC), monotonic=time.monotonic, sleep=time.sleep)


@dataclass(frozen=True)
class Hub:
    """A hub ready to work: its settings, its database and its tenants."""

    settings: HubSettings
    db: Database
    tenants: Mapping[str, Tenant]

    def connection(self, name: str) -> tuple[Tenant, Connection]:
        """Return a connection by `<organisation number>/<name>`, or by name alone where there is one tenant."""
        found = self.settings.connection(name)
        tenant = self.tenants[found.tenant]
        return tenant, tenant.connections[found.id]

    def settings_of(self, tenant: Tenant) -> TenantSettings:
        """Return the settings of one of its tenants."""
        return next(one for one in self.settings.tenants if one.organisation_number == tenant.organisation_number)


def read_settings(config: Path, environ: Mapping[str, str]) -> HubSettings:
    """Read the configuration folder. Raises SettingsError with every mistake."""
    systems = {name: system.settings for name, system in SYSTEMS.items()}
    return load_settings(config, environ, systems=systems, rules=RULES)


@contextmanager
def open_hub(settings: HubSettings, clock: Clock) -> Iterator[Hub]:
    """Open the database, bring it up to date, and make every tenant's connections. Raises KeyFileError.

    Before any connection is used, `check_assumptions` must have let it pass.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    db = open_database(settings.database.get_secret_value())
    try:
        db.migrate()
        tenants = {tenant.organisation_number: _tenant(settings, tenant, db, clock) for tenant in settings.tenants}
        yield Hub(settings, db, tenants)
    finally:
        db.close()


def check_assumptions(connections: Iterable[ConnectionSettings], clock: Clock, sandbox_key: bytes | None) -> None:
    """Let an assumed profile run only where the municipality has confirmed it, or against a proven sandbox.

    `sandbox_key` is what a sandbox proves itself with. Raises NotConfirmed.
    """
    for connection in connections:
        spec = SYSTEMS[connection.system].spec
        if not spec.assumed or connection.confirmed:
            continue
        if sandbox_key is None or not _is_sandbox(connection, clock, sandbox_key):
            raise NotConfirmed(
                f"{connection.id}: {spec.origins()['assumed']} settings of the profile '{spec.system}' are assumed. "
                "Run against a sandbox that `hub sandbox` started, or write who confirmed them with the vendor: "
                "`confirmed: {by: …, on: …}`"
            )


def _is_sandbox(connection: ConnectionSettings, clock: Clock, key: bytes) -> bool:
    if isinstance(connection.own, files.Settings):
        return _is_sandbox_folder(connection.own.folder, key)
    return _is_sandbox_server(connection.id, HttpSettings.model_validate(connection.own), clock, key)


def _is_sandbox_folder(folder: Path, key: bytes) -> bool:
    """A sandbox's folder holds the proof for its own path."""
    try:
        token = (folder / PROOF_FILE).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return False
    return check_proof(key, str(folder), token)


def _is_sandbox_server(connection: str, server: HttpSettings, clock: Clock, key: bytes) -> bool:
    root = _root(server.base_url)
    http = Http(root, None, Limits(attempts=1), clock, ca_file=server.ca_file)
    try:
        token = http.get("/_sandbox/token").json().get("token")
    except Unavailable as error:
        raise NotConfirmed(f"{connection}: {error}") from None
    except ConnectorError:
        return False
    finally:
        http.close()
    return isinstance(token, str) and check_proof(key, root, token)


def _root(url: str) -> str:
    """Return scheme, host and port of an address."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


@dataclass(frozen=True)
class _TransitKeys:
    """A key service as sealing takes one: Transit, with its errors as those of a key."""

    tenant: str
    transit: Transit

    def wrap(self, data: bytes) -> str:
        """Have it encrypted."""
        try:
            return self.transit.encrypt(data)
        except ConnectorError as error:
            raise KeyFileError(f"`key_service` of tenant {self.tenant}: {error}") from None

    def unwrap(self, wrapped: str) -> bytes:
        """Have it decrypted."""
        try:
            return self.transit.decrypt(wrapped)
        except ConnectorError as error:
            raise KeyFileError(f"`key_service` of tenant {self.tenant}: {error}") from None


def wrapped_keys(service: KeyServiceSettings, tenant: str, clock: Clock) -> WrappedKeyFile:
    """Return the keys that lie wrapped, and are opened by a key service. Nothing is asked yet."""
    transit = Transit(
        service.address, service.mount, service.key, service.token.get_secret_value(), clock, service.ca_file
    )
    return WrappedKeyFile(service.wrapped, tenant, _TransitKeys(tenant, transit))


def key_source(tenant: TenantSettings, clock: Clock) -> KeyFile | KeyText | WrappedKeyFile:
    """Return where a tenant's keys come from: its key file, a secret that holds one, or a key service."""
    if tenant.key_service is not None:
        return wrapped_keys(tenant.key_service, tenant.organisation_number, clock)
    if tenant.key_file is not None:
        return KeyFile(tenant.key_file, tenant.organisation_number)
    secret = tenant.key.get_secret_value() if tenant.key else ""
    return KeyText(secret, tenant.organisation_number)


def _tenant(settings: HubSettings, tenant: TenantSettings, db: Database, clock: Clock) -> Tenant:
    keys = tenant_keys(key_source(tenant, clock), tenant.organisation_number)
    written = mappings_of(tenant.mappings, clock.now().date()) if tenant.mappings else {}
    known = {**written, **active_mappings(db, tenant.organisation_number)}
    own = db.of(tenant.organisation_number)  # a gate is written to while other municipalities' pages are
    given = partial(new_id, clock.now)

    def rules(day: date) -> Rules:
        return Rules(
            tenant.rule_on(Sharing, day) or Sharing(),
            tenant.rule_on(ConsentPolicy, day) or ConsentPolicy(),
            tenant.rule_on(LifePolicy, day) or LifePolicy(),
        )

    return Tenant(
        organisation_number=tenant.organisation_number,
        name=tenant.name,
        synthetic_ids=settings.environment != "production",
        connections={
            each.id: _connection(each, clock, known, _gate(each, own, clock), _unit_controllers(tenant))
            for each in tenant.connections
        },
        rules=rules,
        archive=_archive(tenant, keys, clock),
        db=db,
        logs=LogStore(keys),
        inbox=Inbox(keys, given),
        work=WorkStore(tenant.organisation_number, given),
        now=clock.now,
        new_id=given,
    )


def _unit_controllers(tenant: TenantSettings) -> dict[str, str]:
    """Return who answers for the units that are not the municipality's own, both by organisation number."""
    return {unit.organisation_number: unit.controller.organisation_number for unit in tenant.units if unit.controller}


def _gate(settings: ConnectionSettings, db: Database, clock: Clock) -> RowGate:
    breaker, rate = settings.breaker, settings.rate
    rules = GateRules(breaker.failures, breaker.period, rate.per_second if rate else None)
    return RowGate(db, ConnectionState(settings.tenant, settings.id), rules, clock)


def _connection(
    settings: ConnectionSettings,
    clock: Clock,
    known: Mapping[str, TemplateMapping],
    gate: Gate,
    unit_controllers: Mapping[str, str],
) -> Connection:
    timeouts, system = settings.timeouts, SYSTEMS[settings.system]
    paths = {name for name in system.spec.profile if name.endswith("_path")}
    if unknown := sorted(set(settings.profile) - paths):
        raise UnknownProfileSetting(
            f"{settings.id}: profile has no path '{unknown[0]}'. It has {', '.join(sorted(paths))}"
        )
    limits = Limits(timeouts.connect, timeouts.read, timeouts.total, longest_peace=settings.longest_peace)
    if settings.mapping not in known and settings.mapping not in shipped():
        raise UnknownMapping(f"{settings.id}: no mapping '{settings.mapping}'. Known: {', '.join(shipped())}")
    mapping = known.get(settings.mapping) or load_shipped(settings.mapping)
    connector = system.make(settings.own, Surroundings(limits, clock, settings.profile, mapping, gate))
    plans = connector if isinstance(connector, samspill.Samspill) and connector.makes_plans else None
    return Connection(
        id=settings.id,
        services=settings.services,
        readers=settings.readers,
        mapping=mapping,
        connector=connector,
        first_contact=settings.first_contact,
        deliver=settings.deliver,
        verified_ids=settings.verified_ids,
        controller=settings.controller.organisation_number if settings.controller else "",
        unit_controllers=unit_controllers,
        plans=plans if settings.deliver else None,
    )


def _archive(tenant: TenantSettings, keys: TenantKeys, clock: Clock) -> Archive | None:
    """Return the folder archive; it counts as the archive only where the tenant says so."""
    if tenant.archive is None or not tenant.folder_is_archive:
        return None
    encrypt = None if tenant.archive.plain else Encrypt(keys.archive_key())
    number = tenant.organisation_number
    target = FolderArchive(tenant.archive.folder, number, encrypt=encrypt, clock=clock.now)
    every_months = tenant.archive.every_months
    return Archive(f"{number}/folder", target, lambda day: tenant.rule_on(ArchiveSettings, day), every_months)


def mailer(mail: MailSettings) -> Mailer:
    """Return what sends a municipality's messages. Nothing is called yet."""
    password = mail.password.get_secret_value() if mail.password else ""
    return Mailer(MailServer(mail.host, mail.port, mail.security, mail.user, password, mail.ca_file))
