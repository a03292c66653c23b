"""TLS that fails before the request says that nothing was sent; TLS that breaks afterwards says nothing."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from instances.amc.client import RetryPolicy
from instances.amc.errors import AmcOutcomeUnknownError, AmcUnavailableError
from tests.instances.amc.builders import INSTANCE, client
from tests.instances.amc_reporting.builders import request

SHORT = RetryPolicy(tries=3, max_wait_seconds=5, connect_timeout=1, read_timeout=1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for the loopback address, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # OpenSSL reads the kernel's clock, whatever time it is in the tests.
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "loopback.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def tls_server(certificate: Path, answer: Callable[[ssl.SSLSocket], None]) -> Iterator[tuple[str, list[str]]]:
    """Serve TLS; returns the address and the request lines that arrived."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    received: list[str] = []

    def serve(plain: socket.socket) -> None:
        with suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as connection:
            head = connection.recv(65536)
            if head:
                received.append(head.split(b"\r\n")[0].decode())
                answer(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                threading.Thread(target=serve, args=(plain,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", received
        listener.shutdown(socket.SHUT_RDWR)


def break_tls(connection: ssl.SSLSocket) -> None:
    """Answer with bytes that are no TLS."""
    with socket.socket(fileno=connection.detach()) as plain:
        plain.sendall(b"HTTP/1.1 200 OK\r\n" * 100)
        # Closing with something unread would reset the connection before the client has seen these bytes.
        while plain.recv(65536):
            pass


def test_post_is_not_repeated_when_tls_breaks_in_the_answer(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with tls_server(certificate, break_tls) as (url, received):
        with client(local_url=url, policy=SHORT) as calls, pytest.raises(AmcOutcomeUnknownError):
            calls.create_execution(INSTANCE, request())
        assert [line.split()[0] for line in received].count("POST") == 1


def test_certificate_that_is_not_trusted_means_that_nothing_was_sent(certificate: Path) -> None:
    with tls_server(certificate, break_tls) as (url, received):
        with client(local_url=url, policy=SHORT) as calls, pytest.raises(AmcUnavailableError) as caught:
            calls.create_execution(INSTANCE, request())
        assert "not trusted" in caught.value.message
        assert not caught.value.outcome_unknown
        assert received == []
