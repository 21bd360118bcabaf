"""The data protection officer's page is the configuration's own, and the operations docs name every state."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path

import pytest

from hub.bootstrap import SYSTEMS, read_settings
from hub.operate.privacy import ASK, privacy_page
from hub.operate.settings import TenantSettings
from hub.operate.settings.model import Role
from hub.relaylog.codes import Part
from hub.relaylog.consent import ConsentPolicy, LegalBasis
from hub.store import tables
from hub.store.connections import StopCode
from tests.operate.test_example_config import CONFIG, ENVIRON

ROOT = CONFIG.parent
DAY = date(2026, 11, 20)
SPECS = {name: system.spec for name, system in SYSTEMS.items()}
CODES = [each for each in vars(tables).values() if isinstance(each, type) and issubclass(each, StrEnum) and list(each)]
STATES = ROOT / "docs" / "drift" / "tilstander.md"


@pytest.fixture(scope="module")
def tenant() -> TenantSettings:
    """Give the example's municipality."""
    [found] = read_settings(CONFIG, ENVIRON).tenants
    return found


def test_the_page_in_docs_is_that_of_the_example(tenant: TenantSettings) -> None:
    """docs/personvern.md is what the command makes of config/; make it anew with --date 2026-11-20."""
    assert (ROOT / "docs" / "personvern.md").read_text("utf-8") == privacy_page(tenant, DAY, SPECS)


def test_the_command_writes_the_page(tenant: TenantSettings, tmp_path: Path) -> None:
    """`hub report privacy` writes the page to a file of its owner's, and makes no store."""
    out, data = tmp_path / "side.md", tmp_path / "data"
    arguments = ["report", "privacy", "--out", str(out), "--date", "2026-11-20", "--config", str(CONFIG)]
    environ = {**ENVIRON, "STAFETTHUB_DATA": str(data)}
    subprocess.run([sys.executable, "-m", "hub", *arguments], cwd=ROOT, env=environ, check=True, capture_output=True)
    assert out.read_text("utf-8") == privacy_page(tenant, DAY, SPECS)
    assert out.stat().st_mode & 0o077 == 0
    assert not data.exists()


def test_every_flow_part_and_open_column_stands_there(tenant: TenantSettings) -> None:
    """Each connection, each part of the ceiling and each column that is not sealed has a line; no sealed one has."""
    page = privacy_page(tenant, DAY, SPECS)
    columns = [(table.name, column.name) for table in tables.metadata.sorted_tables for column in table.columns]
    assert all(f"| {each.name} |" in page for each in tenant.connections)
    assert all(f"| {part.nb} |" in page for part in Part)
    shown = [(table, column) for table, column in columns if f"| `{table}` | `{column}` |" in page]
    assert shown == [(table, column) for table, column in columns if not column.startswith(("sealed_", "wrapped_"))]


def test_what_is_not_decided_is_asked(tenant: TenantSettings) -> None:
    """Without a legal basis the page says that the municipality must write one; with one it stands there."""
    basis = LegalBasis(article_6="6 (1) e", article_9="9 (2) g", national_law="oppdiktet lov § 1")
    rules = tuple(
        rule.model_copy(update={"value": ConsentPolicy(legal_basis=basis)}) if rule.name == "consent" else rule
        for rule in tenant.rules
    )
    told = privacy_page(tenant.model_copy(update={"rules": rules}), DAY, SPECS)
    assert privacy_page(tenant, DAY, SPECS).count(ASK) == 3
    assert ASK not in told
    assert "| Nasjonal hjemmel | oppdiktet lov § 1 |" in told


def test_what_a_plan_does_is_told_where_one_can_be_made(tenant: TenantSettings) -> None:
    """Accounts and the lasting right stand there for the connection with plans, and nothing without one."""
    told = "lederen får en varig rett til å opprette planer"
    assert told in privacy_page(tenant, DAY, SPECS)
    without = tuple(each for each in tenant.connections if each.system != "samspill")
    assert told not in privacy_page(tenant.model_copy(update={"connections": without}), DAY, SPECS)


def test_every_role_stands_there(tenant: TenantSettings) -> None:
    """The page says what each role of roles.yaml does and sees, also those that nobody has been given."""
    page = privacy_page(tenant, DAY, SPECS)
    assert all(f" (`{role}`) | " in page for role in Role)


def test_how_long_archived_logs_stay_is_read_from_the_configuration(tenant: TenantSettings) -> None:
    """For good until a term is written, and then for so many days."""
    assert "| Arkivert logg | Blir liggende: `wipe_after` er ikke satt |" in privacy_page(tenant, DAY, SPECS)
    told = privacy_page(tenant.model_copy(update={"wipe_after": timedelta(days=90)}), DAY, SPECS)
    assert "| Arkivert logg | Slettet tidligst 90 dager etter arkivets siste bevis |" in told


@pytest.mark.parametrize("kind", [*CODES, StopCode], ids=lambda kind: kind.__name__)
def test_every_state_is_explained(kind: type[StrEnum]) -> None:
    """Every code of a run, delivery, hold, conflict, proposal and so on is named in one section of tilstander.md."""
    sections = STATES.read_text("utf-8").split("\n## ")
    explained = [set(re.findall(r"`([a-z0-9_]+)`", section)) for section in sections]
    assert any(codes >= set(kind) for codes in explained)
