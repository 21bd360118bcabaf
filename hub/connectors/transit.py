"""A key service: the Transit secrets engine of HashiCorp Vault and of OpenBao, spoken as both publish it.

`POST /v1/<mount>/encrypt/<key>` takes `plaintext` (base64) and answers `data.ciphertext` (`vault:v<version>:…`);
`POST /v1/<mount>/decrypt/<key>` takes that `ciphertext` and answers `data.plaintext`. The token goes in the header
`X-Vault-Token`. Published as "Transit secrets engine (API)" at developer.hashicorp.com/vault/api-docs/secret/transit
and openbao.org/api-docs/secret/transit. Nothing is changed there by either call, so that both are safe to repeat.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path

from hub.connectors.base import BadAnswer, ConnectorError, OutcomeUnknown, Refused, Tree, Unavailable
from hub.connectors.http import Clock, Http, Limits

LIMITS = Limits(connect=5, read=5, total=5, attempts=2)
"""A start waits for the service for seconds, and is tried anew by whoever keeps the hub running."""

_CIPHERTEXT = re.compile(r"vault:v[1-9][0-9]*:[A-Za-z0-9+/]+=*")
_CHECK_REACHED = "Check `address` of key_service, that the service runs, and that the firewall lets the hub through"
_SAID = {
    "unauthorized": (
        "the key service refuses the token",
        "Renew the token, and check that its policy lets it encrypt and decrypt with this key",
    ),
    "http_503": ("the key service is sealed or not ready", "Have its keepers unseal it"),
    "not_found": ("the key service has nothing at this path", "Check `mount` of key_service"),
    "http_400": (
        "the key service does not open this with its key",
        "Check `key` and `mount` of key_service, or put back the wrapped key that was there",
    ),
}
"""What the codes of an answer mean here, and what to do. The service's own texts are never shown."""


@dataclass(frozen=True)
class Transit:
    """One key in a Transit engine: the service's address, where the engine is mounted, the key's name, a token.

    `ca_file` is the PEM file that the service's certificate is believed by; none for the machine's own store.
    """

    address: str
    mount: str
    key: str
    token: str = field(repr=False)
    clock: Clock
    ca_file: Path | None = None
    limits: Limits = LIMITS

    def encrypt(self, plaintext: bytes) -> str:
        """Return what only the service opens again. Raises ConnectorError."""
        ciphertext = self._ask("encrypt", {"plaintext": b64encode(plaintext).decode("ascii")}, "ciphertext")
        if not _CIPHERTEXT.fullmatch(ciphertext):
            raise _no_answer("ciphertext")
        return ciphertext

    def decrypt(self, ciphertext: str) -> bytes:
        """Return what `encrypt` was given. Raises ConnectorError; Refused for what this service did not make."""
        if not _CIPHERTEXT.fullmatch(ciphertext):
            remedy = "Put back the file that `hub keys wrap` made"
            raise Refused("not_wrapped", "this is no ciphertext of a Transit engine", remedy)
        try:
            return b64decode(self._ask("decrypt", {"ciphertext": ciphertext}, "plaintext"), validate=True)
        except ValueError:
            raise _no_answer("plaintext") from None

    def _ask(self, what: str, body: Tree, wanted: str) -> str:
        http = self._http()
        try:
            path, token = f"/v1/{self.mount}/{what}/{self.key}", {"X-Vault-Token": self.token}
            reply = http.send("POST", path, body, token, repeatable=True)
            data = reply.json().get("data")
        except ConnectorError as error:
            raise _told(error) from None
        finally:
            http.close()
        found = data.get(wanted) if isinstance(data, dict) else None
        if not isinstance(found, str):
            raise _no_answer(wanted)
        return found

    def _http(self) -> Http:
        try:
            return Http(self.address, None, self.limits, self.clock, ca_file=self.ca_file)
        except OSError:
            raise Refused(
                "no_ca_file", "`ca_file` of key_service holds no readable certificate", "Name a PEM file"
            ) from None


def _no_answer(wanted: str) -> BadAnswer:
    return BadAnswer(f"no_{wanted}", f"the key service answered without `data.{wanted}`", _CHECK_REACHED)


def _told(error: ConnectorError) -> ConnectorError:
    """Say what an error means for a key: a lost answer has done nothing, and nobody looks anything up."""
    if error.code in _SAID:
        what, remedy = _SAID[error.code]
    elif isinstance(error, Unavailable | OutcomeUnknown):
        what, remedy = f"the key service does not answer ({error.code})", _CHECK_REACHED
    else:
        what, remedy = f"the key service answers as no key service does ({error.code})", _CHECK_REACHED
    passing = isinstance(error, Unavailable | OutcomeUnknown)
    return (Unavailable if passing else BadAnswer if isinstance(error, BadAnswer) else Refused)(
        error.code, what, remedy
    )
