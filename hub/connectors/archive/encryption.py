"""Files that only the municipality can read: AES-256-GCM, one file at a time, under a key that the caller hands in.

Sealing the same file of the same delivery twice gives the same bytes, so that a delivery which was cut off can be
compared with what lies there. The nonce is therefore drawn from the content by a second key: two different contents
share one only by a collision of 96 bits. Which delivery and which name a file has is bound in: a file that is put in
another's place does not open.
"""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

SUFFIX = ".sealed"
KEY_BYTES = 32
_MAGIC = b"stafetthub sealed file 1\n"
_NONCE_BYTES = 12


class CannotOpen(Exception):
    """A sealed file does not open: another key, another delivery, another name, or changed bytes."""


@dataclass(frozen=True)
class Encrypt:
    """Seals and opens files with a tenant's 32-byte key."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a key of another length; the message shows no part of it."""
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"an archive key has {KEY_BYTES} bytes; make one with `openssl rand 32`")

    def seal(self, content: bytes, *, delivery_id: str, name: str) -> bytes:
        """Return the sealed bytes of one file: a line that says what it is, the nonce, the text and its tag."""
        bound = _bound(delivery_id, name)
        nonce = hmac.digest(self._derived(b"nonce"), bound + sha256(content).digest(), "sha256")[:_NONCE_BYTES]
        return _MAGIC + nonce + AESGCM(self._derived(b"content")).encrypt(nonce, content, bound)

    def open(self, sealed: bytes, *, delivery_id: str, name: str) -> bytes:
        """Return the content of a sealed file. Raises CannotOpen."""
        if not sealed.startswith(_MAGIC):
            raise CannotOpen(f"delivery {delivery_id}: {name} is no sealed file of this kind")
        body = sealed.removeprefix(_MAGIC)
        nonce, text = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
        try:
            return AESGCM(self._derived(b"content")).decrypt(nonce, text, _bound(delivery_id, name))
        except (InvalidTag, ValueError):
            raise CannotOpen(
                f"delivery {delivery_id}: {name} does not open; use the key it was sealed with, in its own bag"
            ) from None

    def _derived(self, purpose: bytes) -> bytes:
        return HKDFExpand(SHA256(), KEY_BYTES, b"stafetthub archive folder " + purpose).derive(self.key)


def _bound(delivery_id: str, name: str) -> bytes:
    return f"{delivery_id}\n{name}".encode()
