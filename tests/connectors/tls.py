"""A certificate authority made for a test, and servers whose certificate it has signed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
EXPIRED = datetime(2024, 1, 1, tzinfo=UTC)
VALID = datetime(2099, 1, 1, tzinfo=UTC)


@contextmanager
def tls_server(folder: Path, ends: datetime) -> Iterator[tuple[str, Path]]:
    """Give a server on loopback whose certificate is valid until an instant, and the file of its authority."""
    context, ca_file = server_side(folder, ends)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}", ca_file
        finally:
            server.shutdown()
            thread.join()


def server_side(folder: Path, ends: datetime, issuer: str = "Test authority") -> tuple[ssl.SSLContext, Path]:
    """Give what a server on 127.0.0.1 encrypts with until an instant, and the file of its authority."""
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    of_authority = (
        _certificate(issuer, issuer, authority, VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority, hashes.SHA256())
    )
    of_server = (
        _certificate("127.0.0.1", issuer, own, ends)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    ca_file, certificate, secret = folder / "authority.pem", folder / "server.pem", folder / "server.key"
    ca_file.write_bytes(of_authority.public_bytes(Encoding.PEM))
    certificate.write_bytes(of_server.public_bytes(Encoding.PEM))
    secret.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    return context, ca_file


def _certificate(name: str, issuer: str, key: ec.EllipticCurvePrivateKey, ends: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(LONG_AGO)
        .not_valid_after(ends)
    )


class _Answering(BaseHTTPRequestHandler):
    """Answers every GET with an empty JSON object."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""
