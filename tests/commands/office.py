"""A made-up municipality for tests of commands: its configuration and key in a folder, and `hub` run on them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from typer.testing import CliRunner, Result

from hub.cli import app
from hub.sandbox.municipality import SAMSPILL_CLIENT_ID, SAMSPILL_SCOPE, VISMA_TENANT_ID
from hub.sandbox.samspill import TOKEN_PATH
from hub.store.database import Database, open_database
from hub.store.sealing import new_key_file
from hub.store.tables import events

TENANT = "900001002"  # made up, as are the units' numbers below
NUMBER = "900001037"
CONFIG = f"""\
name: Oppdikta kommune
organisation_number: "{TENANT}"
language: nn
controller: Oppdikta kommune
key_file: ${{env:KEY_FILE}}
units:
  - {{id: tussebu, name: Tussebu barnehage, organisation_number: "{NUMBER}", service: kindergarten}}
"""
SCHOOL = '  - {id: skule, name: Oppdikta skule, organisation_number: "900001045", service: school}\n'
"""One more unit, to be put after CONFIG."""

BOX_YAML = """\
system: folder
mapping: profil/stafettlogg
folder: ${env:DATA}/box
suffix: .xml
services: [health_station]
readers: [health_station]
"""
"""A connection that exchanges files."""

SAMSPILL_YAML = f"""\
system: samspill
mapping: samspill/stafettlogg
base_url: ${{env:SAMSPILL}}/api
token_url: ${{env:SAMSPILL}}{TOKEN_PATH}
tenant_id: {VISMA_TENANT_ID}
organisation_number: "{TENANT}"
client_id: {SAMSPILL_CLIENT_ID}
client_secret: ${{env:SECRET}}
scope: {SAMSPILL_SCOPE}
services: [health_station, coordinating_unit, family]
readers: [health_station, family]
verified_ids: true
deliver: true
confirmed: {{by: Oppdikta leder, on: 2026-11-20}}
"""
"""A connection to the simulated Samspill."""

PLAN_YAML = "plan: {type: INDIVIDUELL_PLAN, guardian_role: FORESATT, participant_role: DELTAKER}\n"
"""What lets Samspill be asked for individual plans, to be put after SAMSPILL_YAML."""


@dataclass(frozen=True)
class Office:
    """A municipality's hub, and the folder where configuration, key, store and papers are put."""

    folder: Path

    @property
    def tenant(self) -> Path:
        """The municipality's configuration."""
        return self.folder / "config" / "tenants" / TENANT

    def hub(self, *arguments: str) -> Result:
        """Run the command."""
        environ = {"KEY_FILE": str(self.folder / "key.json"), "DATA": str(self.folder), "COLUMNS": "250"}
        config = ["--config", str(self.folder / "config")]
        return CliRunner(env=environ).invoke(app, [*arguments, *config])

    @contextmanager
    def store(self) -> Iterator[Database]:
        """Open its store."""
        db = open_database(f"sqlite:///{self.folder / 'hub.db'}")
        db.migrate()
        yield db
        db.close()

    def openings(self) -> list[tuple[str, str, dict[str, object]]]:
        """Return who opened which log, and with what data."""
        wanted = select(events.c.actor, events.c.subject_id, events.c.data)
        with self.store() as db, db.read() as tx:
            rows = tx.execute(wanted.where(events.c.action == "person:log:opened").order_by(events.c.event_id))
            return [(row.actor, row.subject_id, row.data) for row in rows]

    def all_events(self) -> str:
        """Return everything that the log of events says."""
        with self.store() as db, db.read() as tx:
            return json.dumps([[str(value) for value in row] for row in tx.execute(select(events))])


def municipality(folder: Path, files: Mapping[str, str], environment: str = "sandbox") -> Office:
    """Make the municipality in a folder: its configuration as `configure` writes it, and a key. Nothing is stored."""
    configure(folder, files, environment)
    new_key_file(folder / "key.json")
    return Office(folder)


def configure(folder: Path, files: Mapping[str, str], environment: str = "sandbox") -> None:
    """Write a configuration: that of the hub, and the municipality's files by name."""
    for name, text in files.items():
        path = Office(folder).tenant / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    hub = f"environment: {environment}\ndata: ${{env:DATA}}\n"
    (folder / "config" / "hub.yaml").write_text(hub, encoding="utf-8")
