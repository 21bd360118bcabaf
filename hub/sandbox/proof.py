"""The token by which a sandbox proves that it is one.

A loopback address proves nothing: a tunnel to a vendor's production has one too. So the sandbox signs its own base
address with a key from its state folder, and the hub, which is given the same key, checks it before it sends anything.
"""

import hashlib
import hmac

PROOF_FILE = ".sandbox"
"""The file in which a sandbox's folder holds the proof for its own path."""


def issue_proof(key: bytes, base_url: str) -> str:
    """Sign the address that the sandbox answers at. A trailing slash makes no difference."""
    said = f"stafetthub-sandbox\n{base_url.rstrip('/')}".encode()
    return f"v1.{hmac.new(key, said, hashlib.sha256).hexdigest()}"


def check_proof(key: bytes, base_url: str, token: str) -> bool:
    """Tell whether the token was issued with this key for this address."""
    return hmac.compare_digest(issue_proof(key, base_url).encode(), token.encode())
