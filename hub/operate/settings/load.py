"""Loads the configuration folder: hub.yaml, and a folder for each tenant with its connections and rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from hub.operate.settings.model import ConnectionSettings, DatedRule, Grant, HubFile, HubSettings, TenantSettings
from hub.operate.settings.reading import M, Reader, SettingsError, keys_of, suggest
from hub.payloads.yamlfile import YamlList, YamlMap, YamlNode, YamlScalar

Models = Mapping[str, type[BaseModel]]

_TENANT_ENTRIES = frozenset({"tenant.yaml", "connections", "rules", "mappings", "roles.yaml"})
_RESERVED = ("localhost", ".localhost", ".example", ".invalid", ".test")  # RFC 2606 and 6761: never a vendor's


def load_settings(config: Path, environ: Mapping[str, str], *, systems: Models, rules: Models) -> HubSettings:
    """Load a configuration folder. `environ` is where `${env:X}` is looked up.

    `systems` gives the settings model of each system that a connection may name, `rules` the model of each file that
    may lie in `rules/`. Raises SettingsError with every mistake found.
    """
    root = config.resolve()
    loader = _Loader(Reader(root, environ), systems, rules)
    settings = loader.hub()
    if settings is None or loader.reader.problems:
        raise SettingsError(loader.reader.problems)
    return settings


@dataclass
class _Loader:
    reader: Reader
    systems: Models
    rules: Models
    production: bool = False
    sandbox: bool = False

    def hub(self) -> HubSettings | None:
        config = self.reader.config
        node = self.reader.map(self.reader.file(config / "hub.yaml"))
        hub = self._whole(node, HubFile) if node else None
        self.production = hub is not None and hub.environment == "production"
        self.sandbox = hub is not None and hub.environment == "sandbox"
        loaded = [self._tenant(folder) for folder in self._tenant_folders(config / "tenants", node, hub)]
        if hub is None:
            return None
        return HubSettings(
            environment=hub.environment,
            data=hub.data,
            database=hub.database or SecretStr(f"sqlite:///{hub.data / 'hub.db'}"),
            log_level=hub.logging.level,
            tenants=tuple(tenant for tenant in loaded if tenant),
        )

    def _tenant_folders(self, tenants: Path, node: YamlMap | None, hub: HubFile | None) -> list[Path]:
        folders = [path for path in _entries(tenants) if path.is_dir()]
        if hub is not None and hub.tenants is not None and node is not None:
            for number in sorted(set(hub.tenants) - {path.name for path in folders}):
                self.reader.problem(
                    node.items["tenants"].mark, f"no folder for tenant {number}", f"Make config/tenants/{number}/"
                )
            return [path for path in folders if path.name in hub.tenants]
        if not folders:
            self.reader.problem(self.reader.top(tenants), "no tenant", "Make a folder with a tenant.yaml in it")
        return folders

    def _tenant(self, folder: Path) -> TenantSettings | None:
        for entry in _entries(folder):
            if entry.name not in _TENANT_ENTRIES:
                self.reader.problem(self.reader.top(entry), "nothing reads this", suggest(entry.name, _TENANT_ENTRIES))
        connections = [self._connection(folder.name, path) for path in self._files(folder / "connections")]
        rules = [rule for path in self._files(folder / "rules") for rule in self._rules(path)]
        node = self.reader.map(self.reader.file(folder / "tenant.yaml"))
        if node is None:
            return None
        self._check_number(node, folder.name)
        tenant = self._whole(
            node,
            TenantSettings,
            connections=tuple(connection for connection in connections if connection),
            rules=tuple(rules),
            mappings=folder / "mappings" if (folder / "mappings").is_dir() else None,
            roles=self._roles(folder / "roles.yaml"),
        )
        mail = tenant.mail if tenant else None
        if mail and mail.security == "none" and not (self.sandbox or mail.stays_here):
            self.reader.problem(
                node.items["mail"].mark, "mail goes unencrypted to another machine", "Write `security: starttls` or tls"
            )
        return tenant

    def _roles(self, path: Path) -> tuple[Grant, ...] | None:
        """Read who has which role; None where a tenant has no such file."""
        if not path.exists():
            return None
        node = self.reader.file(path)
        entries = node.items if isinstance(node, YamlList) else (node,)
        read = (self._whole(found, Grant) for entry in entries if (found := self.reader.map(entry)))
        return tuple(grant for grant in read if grant)

    def _check_number(self, node: YamlMap, folder: str) -> None:
        number = node.items.get("organisation_number")
        if not isinstance(number, YamlScalar):
            return
        if number.text != folder:
            self.reader.problem(
                number.mark, f"found '{number.text}' in the folder '{folder}'", "Name the folder by the number"
            )
        # Real numbers begin with 8 or 9, those of the test registers with 2 or 3; 90000 is the example's series.
        if self.production and (number.text[:1] not in "89" or number.text.startswith("90000")):
            self.reader.problem(
                number.mark, "a made-up organisation number in production", "Write the municipality's own"
            )

    def _connection(self, tenant: str, path: Path) -> ConnectionSettings | None:
        node = self.reader.map(self.reader.file(path))
        if node is None:
            return None
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", path.stem):
            self.reader.problem(
                self.reader.top(path), "a file name that can't name a connection", "Use a-z, 0-9, - and _"
            )
        system = node.items.get("system")
        model = self.systems.get(system.text) if isinstance(system, YamlScalar) else None
        own = None
        if model:
            self.reader.check_keys(node, keys_of(ConnectionSettings) | keys_of(model))
            own = self.reader.validate(node, model)
        elif isinstance(system, YamlScalar):
            self.reader.problem(system.mark, f"unknown system '{system.text}'", suggest(system.text, self.systems))
        if own and self.production:
            self._refuse_sandbox(node, own)
        return self.reader.validate(node, ConnectionSettings, tenant=tenant, name=path.stem, own=own)

    def _refuse_sandbox(self, node: YamlMap, own: BaseModel) -> None:
        for key, value in own:
            if key in node.items and _of_sandbox(str(value)):
                self.reader.problem(
                    node.items[key].mark,
                    f"'{key}' names the sandbox or an unencrypted address, in production",
                    "Write what the vendor gave you, or set `environment: sandbox` in hub.yaml",
                )

    def _rules(self, path: Path) -> Iterator[DatedRule]:
        if path.stem not in self.rules:
            self.reader.problem(
                self.reader.top(path), f"no rules are called '{path.stem}'", suggest(path.stem, self.rules)
            )
            return
        node = self.reader.file(path)
        entries = node.items if isinstance(node, YamlList) else (node,)
        read = [(entry, self._rule(path.stem, entry)) for entry in entries]
        counts = Counter(rule.valid_from for _, rule in read if rule)
        for entry, rule in read:
            if rule and entry and counts[rule.valid_from] > 1:
                self.reader.problem(entry.mark, f"two rule sets from {rule.valid_from}", "Keep one for each day")
            elif rule:
                yield rule

    def _rule(self, name: str, entry: YamlNode | None) -> DatedRule | None:
        node = self.reader.map(entry)
        if node is None:
            return None
        model = self.rules[name]
        self.reader.check_keys(node, keys_of(DatedRule) | keys_of(model))
        value = self.reader.validate(node, model)
        return self.reader.validate(node, DatedRule, name=name, value=value)

    def _whole(self, node: YamlMap, model: type[M], **given: object) -> M | None:
        self.reader.check_keys(node, keys_of(model))
        return self.reader.validate(node, model, **given)

    def _files(self, folder: Path) -> Iterator[Path]:
        for path in _entries(folder):
            if path.suffix == ".yaml":
                yield path
            else:
                self.reader.problem(self.reader.top(path), "nothing reads this", "Give it a name ending in .yaml")


def _entries(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".")) if folder.is_dir() else []


def _of_sandbox(value: str) -> bool:
    """Tell whether a setting points at a simulator: plain http, this machine, or a name that can't exist."""
    try:
        url = urlsplit(value)
    except ValueError:
        return False
    host = (url.hostname or value).rstrip(".")
    return url.scheme == "http" or host.startswith("127.") or host == "::1" or host.endswith(_RESERVED)
