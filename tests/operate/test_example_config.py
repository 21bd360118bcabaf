"""The example configuration loads as it stands, and names the same municipality as the sandbox."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel

from hub.connectors import files, samspill, vigilo
from hub.documents.arkivmelding import ArchiveSettings
from hub.operate.settings import HubSettings, load_settings
from hub.relaylog.codes import Service
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.life import LifePolicy
from hub.relaylog.sharing import Sharing
from hub.sandbox import municipality
from hub.sandbox.filesystems import FILE_SYSTEMS

CONFIG = Path(__file__).resolve().parents[2] / "config"
TODAY = date(2026, 11, 20)
ENVIRON = {
    "STAFETTHUB_DATA": "/srv/hub",
    "STAFETTHUB_FILES": "/srv/mapper",
    "STAFETTHUB_KEY_FILE": "/srv/keys/fjordvik.key",
    "STAFETTHUB_VIGILO_URL": "http://127.0.0.1:8001",
    "STAFETTHUB_VIGILO_TOKEN_URL": "http://127.0.0.1:8001/token",
    "STAFETTHUB_VIGILO_SECRET": "made-up",
    "STAFETTHUB_SAMSPILL_URL": "http://127.0.0.1:8002/api",
    "STAFETTHUB_SAMSPILL_TOKEN_URL": "http://127.0.0.1:8002/token",
    "STAFETTHUB_SAMSPILL_SECRET": "made-up",
}


@pytest.fixture(scope="module")
def settings() -> HubSettings:
    """Load the example with what the demo would set."""
    systems: dict[str, type[BaseModel]] = {
        "vigilo": vigilo.Settings,
        "samspill": samspill.Settings,
        "folder": files.Settings,
    }
    rules: dict[str, type[BaseModel]] = {
        "sharing": Sharing,
        "consent": ConsentPolicy,
        "life": LifePolicy,
        "archive": ArchiveSettings,
    }
    return load_settings(CONFIG, ENVIRON, systems=systems, rules=rules)


def test_it_names_the_sandbox_municipality(settings: HubSettings) -> None:
    """Names, numbers and ids are those that the simulated systems answer to."""
    (tenant,) = settings.tenants
    assert (tenant.name, tenant.organisation_number) == (
        municipality.MUNICIPALITY_NAME,
        municipality.MUNICIPALITY_ORGNR,
    )
    assert [(u.id, u.name, u.organisation_number) for u in tenant.units] == [
        (u.key, u.name, u.orgnr) for u in municipality.UNITS
    ]
    one, two = settings.connection("vigilo").own, settings.connection("samspill").own
    assert isinstance(one, vigilo.Settings)
    assert isinstance(two, samspill.Settings)
    assert (one.org_id, one.client_id) == (municipality.VIGILO_ORG_ID, municipality.VIGILO_CLIENT_ID)
    assert (two.tenant_id, two.client_id) == (municipality.VISMA_TENANT_ID, municipality.SAMSPILL_CLIENT_ID)
    assert (two.scope, two.organisation_number) == (municipality.SAMSPILL_SCOPE, municipality.MUNICIPALITY_ORGNR)


def test_each_service_is_responsible_in_one_system_at_most(settings: HubSettings) -> None:
    """No service works in both systems, and each unit's service but those outside both has a system."""
    one, two = settings.connection("vigilo").services, settings.connection("samspill").services
    assert not one & two
    outside = {unit.service for unit in settings.tenants[0].units} - one - two
    assert outside == {Service.THERAPY, Service.CHILD_WELFARE, Service.PPT}


def test_file_systems_are_sent_what_somebody_there_reads(settings: HubSettings) -> None:
    """Each folder is a simulated service's; what is written to has a reader, and paper never joins by itself."""
    folders = {c.name: c for c in settings.tenants[0].connections if isinstance(c.own, files.Settings)}
    assert folders.keys() == FILE_SYSTEMS.keys()
    assert {name: c.own.suffix for name, c in folders.items() if isinstance(c.own, files.Settings)} == {
        name: system.suffix for name, system in FILE_SYSTEMS.items()
    }
    assert {name for name, c in folders.items() if not c.deliver} == {"familia", "papirskjema"}
    assert {name for name, c in folders.items() if not c.verified_ids} == {"papirskjema"}
    assert all(c.readers for c in folders.values())


@pytest.mark.parametrize("model", [Sharing, ConsentPolicy, LifePolicy])
def test_rules_with_defaults_are_the_defaults_written_out(settings: HubSettings, model: type[BaseModel]) -> None:
    """Leaving out a file of rules changes nothing but the agreements, as the files say, and no key is left out."""
    held = settings.tenants[0].rule_on(model, TODAY)
    assert held is not None
    own = {"agreements": ()} if isinstance(held, Sharing) else {}
    assert held.model_copy(update=own) == model()
    (file,) = (rule.name for rule in settings.tenants[0].rules if isinstance(rule.value, model))
    text = (CONFIG / "tenants" / municipality.MUNICIPALITY_ORGNR / "rules" / f"{file}.yaml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{key}:", text, re.MULTILINE) for key in model.model_fields)


def test_every_other_controller_has_an_agreement(settings: HubSettings) -> None:
    """The unit that the municipality does not answer for may take part: an agreement covers whoever is told of it."""
    (tenant,) = settings.tenants
    (other,) = {unit.controller.organisation_number for unit in tenant.units if unit.controller}
    sharing = tenant.rule_on(Sharing, TODAY)
    assert sharing is not None
    readers = {reader for each in tenant.connections if each.readers != "unit" for reader in each.readers}
    assert sharing.agreed(other, readers | {Service.KINDERGARTEN}, TODAY)


def test_the_archive_rules_hold_today(settings: HubSettings) -> None:
    """The archive's settings are complete and have begun."""
    rules = settings.tenants[0].rule_on(ArchiveSettings, TODAY)
    assert rules is not None
    assert rules.folder_per == "child"


def test_every_key_is_explained() -> None:
    """No group of keys, as blank lines divide them, stands in the example without a comment."""
    for file in sorted(CONFIG.rglob("*.yaml")):
        groups = re.split(r"\n\s*\n", file.read_text(encoding="utf-8"))
        bare = [g.splitlines()[0] for g in groups if not g.lstrip().startswith("#") and "#" not in g]
        assert bare == [], f"{_below(file)}: no comment at {bare}"


def test_no_secret_and_no_address_of_this_computer_is_written_out() -> None:
    """Secrets, keys, data folders and addresses come from the environment."""
    for file in sorted(CONFIG.rglob("*.yaml")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if re.match(r"\s*(client_secret|key_file|data|base_url|token_url|folder):", line):
                assert "${env:" in line, f"{_below(file)}: {line.partition(':')[0].strip()}"


def _below(file: Path) -> str:
    return file.relative_to(CONFIG).as_posix()
