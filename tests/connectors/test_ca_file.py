"""Whom every connector that speaks HTTP believes: real HTTPS servers of authorities that no machine knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from hub.bootstrap import SYSTEMS, NotConfirmed, Surroundings, check_assumptions
from hub.connectors.base import OPEN, Connector, Unavailable
from hub.connectors.http import HttpSettings, Limits
from hub.mappings import load_shipped
from hub.operate.settings import ConnectionSettings
from hub.sandbox.proof import issue_proof
from tests.connectors.conftest import Time
from tests.connectors.tls import VALID, server_side
from tests.connectors.wire import Wire, answer

Tree = dict[str, Any]
KEY = b"k" * 32
TOKEN = answer(200, {"access_token": "t-1", "expires_in": 300})
RECORD = {"id": "A-1", "planId": "A-1", "version": "1", "body": {}}
CLIENT = {"client_id": "c", "client_secret": "made-up", "scope": "s"}
OWN: Mapping[str, Tree] = {
    "vigilo": {**CLIENT, "org_id": "fjordvik.example"},
    "samspill": {**CLIENT, "tenant_id": "t", "organisation_number": "900001002"},
    "relaylog": {**CLIENT, "repeat": "key"},
}
"""What each system needs besides its addresses."""


def _hal(resource: str, *items: Tree) -> Tree:
    return {"_embedded": {resource: list(items)}, "_links": {}}


LISTINGS: Mapping[str, list[Tree]] = {
    "vigilo": [_hal("persons"), _hal("schools"), _hal("relay-logs", RECORD)],
    "samspill": [{"items": [RECORD], "totalCount": 1}],
    "relaylog": [{"records": [RECORD], "next": None, "total": 1, "complete": True}],
}
"""What each system answers when it is read, its token aside."""


def _settings(name: str, url: str, token_url: str = "", **more: object) -> BaseModel:
    return SYSTEMS[name].settings.model_validate(
        {**OWN[name], "base_url": url, "token_url": token_url or f"{url}/token", **more}
    )


def _read(name: str, settings: BaseModel, moment: Time) -> list[str]:
    limits = Limits(connect=2, read=5, total=5, attempts=1)
    around = Surroundings(limits, moment.clock(), {}, load_shipped("relaylog/open"), OPEN)
    connector: Connector = SYSTEMS[name].make(settings, around)
    return [record.id for page in connector.pages() for record in page.records]


def test_every_system_with_an_address_has_the_setting() -> None:
    """Whatever speaks HTTP takes its settings from one place; who comes new is asked for a listing here."""
    assert {name for name, system in SYSTEMS.items() if issubclass(system.settings, HttpSettings)} == OWN.keys()
    assert not {name for name in SYSTEMS.keys() - OWN.keys() if "base_url" in SYSTEMS[name].settings.model_fields}


@pytest.mark.parametrize("name", OWN)
def test_a_private_authority_is_believed_where_it_is_configured(name: str, moment: Time, tmp_path: Path) -> None:
    """By the machine's store it is nobody, and not a byte is sent; with `ca_file` token and records are read."""
    tls, ca_file = server_side(tmp_path, VALID)
    listing = [answer(200, page) for page in LISTINGS[name]]
    with Wire([TOKEN, *listing], tls) as wire:
        with pytest.raises(Unavailable, match="`ca_file` of the connection") as caught:
            _read(name, _settings(name, wire.url), moment)
        assert (caught.value.code, wire.requests) == ("certificate_not_trusted", [])
        assert _read(name, _settings(name, wire.url, ca_file=ca_file), moment) == ["A-1"]
        assert wire.requests[0].startswith(b"POST /token ")
        assert wire.header("authorization") == ["", *["bearer t-1"] * len(listing)]


@pytest.mark.parametrize("name", OWN)
def test_the_token_is_asked_of_the_same_authorities(name: str, moment: Time, tmp_path: Path) -> None:
    """No secret goes to a token endpoint of another authority; a file that holds both lets both through."""
    sides = []
    for issuer in ("Test system", "Test tokens"):
        (tmp_path / issuer).mkdir()
        sides.append(server_side(tmp_path / issuer, VALID, issuer))
    (tls, ca_file), (of_tokens, other) = sides
    both = tmp_path / "both.pem"
    both.write_bytes(ca_file.read_bytes() + other.read_bytes())
    listing = [answer(200, page) for page in LISTINGS[name]]
    with Wire(listing, tls) as wire, Wire([TOKEN], of_tokens) as tokens:
        with pytest.raises(Unavailable) as caught:
            _read(name, _settings(name, wire.url, tokens.url, ca_file=ca_file), moment)
        assert (caught.value.code, tokens.requests) == ("certificate_not_trusted", [])
        assert _read(name, _settings(name, wire.url, tokens.url, ca_file=both), moment) == ["A-1"]


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
@pytest.mark.parametrize("name", OWN)
def test_a_ca_file_that_is_none_is_told_when_it_is_configured(name: str, tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty or something else: the setting is named, its value is not."""
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValidationError, match="ca_file cannot be read as PEM certificates") as caught:
        _settings(name, "https://127.0.0.1", ca_file=path)
    assert str(path) not in str(caught.value)


def test_a_sandbox_proves_itself_by_the_same_authority(moment: Time, tmp_path: Path) -> None:
    """The question whether the other end is a sandbox goes to the server that the connection believes, and no other."""
    tls, ca_file = server_side(tmp_path, VALID)
    with Wire([lambda *asked: answer(200, {"token": issue_proof(KEY, wire.url)})(*asked)], tls) as wire:
        check_assumptions([_connection(_settings("vigilo", wire.url, ca_file=ca_file))], moment.clock(), KEY)
        with pytest.raises(NotConfirmed, match="certificate is not valid"):
            check_assumptions([_connection(_settings("vigilo", wire.url))], moment.clock(), KEY)


def _connection(own: BaseModel) -> ConnectionSettings:
    return ConnectionSettings(
        tenant="900001002",
        name="vigilo",
        own=own,
        system="vigilo",
        mapping="vigilo/stafettlogg",
        services=frozenset(),
        readers="unit",
    )
