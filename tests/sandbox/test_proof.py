"""The proof token: only this key and this address give it."""

from hypothesis import given
from hypothesis import strategies as st

from hub.sandbox.proof import check_proof, issue_proof

_KEY = b"k" * 32


@given(st.binary(min_size=16), st.text(max_size=60))
def test_a_proof_checks_with_its_own_key_and_address(key: bytes, base_url: str) -> None:
    """Whatever the key and address, the token that was issued for them is accepted, with or without a slash."""
    assert check_proof(key, base_url, issue_proof(key, base_url))
    assert check_proof(key, f"{base_url}/", issue_proof(key, base_url))


@given(st.text(max_size=80))
def test_nothing_else_is_a_proof(token: str) -> None:
    """Another key, another address or any other text is refused, also text outside ASCII."""
    proof = issue_proof(_KEY, "http://127.0.0.1:1")
    assert not check_proof(b"other" * 8, "http://127.0.0.1:1", proof)
    assert not check_proof(_KEY, "http://127.0.0.1:2", proof)
    assert not check_proof(_KEY, "http://127.0.0.1:1", token)
