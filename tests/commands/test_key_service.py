"""Keys from a key service as people use them: wrapped once, opened at each start, rotated, and told when it is away."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hub.bootstrap import key_source, read_settings, system_clock
from hub.cli import app
from hub.commands.keys import NoKeyFile
from hub.store.logs import LogStore
from hub.store.sealing import KeyFileError, TenantKeys, read_key_file, tenant_keys
from tests.commands.office import CONFIG, TENANT, Office, municipality
from tests.connectors.transit_server import TOKEN, TransitServer
from tests.documents.worked import LOG_ID, worked_log

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SERVICE = """\
key_service:
  address: ${env:KEY_SERVICE}
  key: stafetthub
  token: ${file:token}
  wrapped: ${env:DATA}/key.wrapped
"""


@dataclass(frozen=True)
class Served(Office):
    """A municipality whose key file is still on the machine, and whose configuration names a key service."""

    transit: TransitServer

    def environ(self) -> dict[str, str]:
        """Give what the configuration refers to."""
        return {"KEY_SERVICE": self.transit.url, "DATA": str(self.folder), "COLUMNS": "250"}

    def hub(self, *arguments: str) -> Result:
        """Run the command."""
        config = ["--config", str(self.folder / "config")]
        return CliRunner(env=self.environ()).invoke(app, [*arguments, *config])

    def keys(self) -> TenantKeys:
        """Get the keys as a starting hub does."""
        (settings,) = read_settings(self.folder / "config", self.environ()).tenants
        return tenant_keys(key_source(settings, system_clock()), TENANT)

    def configure(self, key: str) -> None:
        """Say where the keys come from."""
        (self.tenant / "tenant.yaml").write_text(CONFIG.replace("key_file: ${env:KEY_FILE}\n", key), encoding="utf-8")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Served]:
    municipality(tmp_path, {"tenant.yaml": CONFIG})
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    with TransitServer() as transit:
        made = Served(tmp_path, transit)
        made.configure(SERVICE)
        store = LogStore(read_key_file(tmp_path / "key.json", TENANT))
        with made.store() as db, db.write() as tx:
            store.save(tx, replace(store.new(LOG_ID), log=worked_log()), NOW)
        yield made


def _wrap(office: Served) -> Result:
    return office.hub("keys", "wrap", TENANT, str(office.folder / "key.json"))


def _opens(office: Served) -> bool:
    with office.store() as db, db.read() as tx:
        return LogStore(office.keys()).load(tx, LOG_ID).log.id == LOG_ID


def test_a_key_file_is_wrapped_and_opens_what_it_opened(office: Served) -> None:
    """After wrapping the key file may go; nothing of a key is on the disk, and every start asks the service."""
    content = json.loads((office.folder / "key.json").read_text())
    done = _wrap(office)
    assert done.exit_code == 0, (done.output, done.exception)
    (office.folder / "key.json").unlink()
    assert _opens(office)
    for key in (content["hashing"], *content["keys"].values()):
        raw = base64.b64decode(key)
        for file in (each for each in office.folder.rglob("*") if each.is_file()):
            assert raw not in file.read_bytes()
            assert key.encode() not in file.read_bytes()
    assert office.transit.asked[-1] == "POST /v1/transit/decrypt/stafetthub"


def test_nothing_is_wrapped_over_another_or_without_a_service(office: Served) -> None:
    """A wrapped key that is there stays; without key_service in the configuration there is nothing to ask."""
    assert _wrap(office).exit_code == 0
    before = (office.folder / "key.wrapped").read_text()
    assert isinstance(_wrap(office).exception, NoKeyFile)
    assert (office.folder / "key.wrapped").read_text() == before
    office.configure("key: ${file:token}\n")
    error = _wrap(office).exception
    assert isinstance(error, NoKeyFile)
    assert "no key_service" in str(error)


def test_wrapped_keys_are_rotated_without_lying_open(office: Served) -> None:
    """A version is added inside the wrapped file; what was sealed opens, and the old one waits its hour."""
    _wrap(office)
    (office.folder / "key.json").unlink()
    done = office.hub("keys", "rotate", TENANT, "--who", "it-1")
    assert "1 data keys are wrapped by version 2" in done.output, done.exception
    assert office.keys().current == 2
    assert _opens(office)
    assert "changed less than an hour ago" in str(office.hub("keys", "retire", TENANT, "--who", "it-1").exception)


def test_without_the_service_no_hub_starts(office: Served) -> None:
    """Sealed, unreachable or with nothing wrapped, the start says which, and shows neither key nor token."""
    with pytest.raises(KeyFileError, match="hub keys wrap"):
        office.keys()
    _wrap(office)
    office.transit.sealed = True
    error = office.hub("status").exception
    assert isinstance(error, KeyFileError)
    assert f"`key_service` of tenant {TENANT}: the key service is sealed or not ready" in str(error)
    assert TOKEN not in str(error)
    office.transit.sealed = False
    (office.folder / "token").write_text("another", encoding="utf-8")
    with pytest.raises(KeyFileError, match="refuses the token"):
        office.keys()


def test_a_running_hub_keeps_its_keys_when_the_service_goes_away(office: Served) -> None:
    """What was opened at the start stays in memory; a rotation reaches the hub when the service answers again."""
    _wrap(office)
    keys = office.keys()
    office.hub("keys", "rotate", TENANT, "--who", "it-1")
    office.transit.sealed = True
    assert keys.new_key("log:l1").key_version == 1
    office.transit.sealed = False
    assert keys.new_key("log:l2").key_version == 2


def test_something_else_in_the_wrapped_file_is_told(office: Served) -> None:
    """A file that is no ciphertext, and one whose content is no key file, are named by their place."""
    path = office.folder / "key.wrapped"
    path.write_text("hei", encoding="utf-8")
    with pytest.raises(KeyFileError, match="no ciphertext"):
        office.keys()
    _, data = office.transit.answer("/v1/transit/encrypt/stafetthub", TOKEN, {"plaintext": "//79"})
    path.write_text(data["data"]["ciphertext"], encoding="utf-8")
    with pytest.raises(KeyFileError, match=r"key.wrapped: not a key file"):
        office.keys()
