"""The practice's own certificate: judged before it is kept, and served by name until it ends."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import create_connection, create_server

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from provisioner import certificates, given
from provisioner.errors import Invalid
from tests import given_certificates as made

NOW = 1_790_000_000.0
NAMES = ("phones.clinic.example", "*.staff.clinic.example")


@pytest.fixture(scope="module")
def root() -> made.Made:
    return made.made("Root")


@pytest.fixture(scope="module")
def middle(root: made.Made) -> made.Made:
    return made.made("Middle", root)


@pytest.fixture(scope="module")
def leaf(middle: made.Made) -> made.Made:
    return made.made("Leaf", middle, names=NAMES)


def subjects(file: bytes) -> list[str]:
    return [each.subject.rfc4514_string() for each in x509.load_pem_x509_certificates(file)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 1), (0,), (0, 1, 1)])
def test_a_chain_is_put_in_order(leaf, middle, root, order: tuple[int, ...]):
    chain = [(leaf, middle, root)[each] for each in order]
    told, file = given.judged(made.pem(*chain), made.key_pem(leaf), NOW)
    wanted = [f"CN={name}" for place, name in enumerate(("Leaf", "Middle", "Root")) if place in order]
    assert subjects(file) == wanted
    assert told.names == NAMES
    assert told.issuer == "Middle"
    assert told.until == NOW + 90 * 86_400
    assert told.alone is (order == (0,))
    assert file.startswith(b"-----BEGIN PRIVATE KEY")


def wrong(chain: bytes, key: bytes) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        given.judged(chain, key, NOW)
    assert "PRIVATE KEY-----" not in str(caught.value)
    return caught.value.errors


def test_what_is_wrong_is_said_by_its_field(leaf, middle, root):
    key = made.key_pem(leaf)
    assert "no certificate in PEM" in wrong(b"\x30\x82", key)["chain"]
    assert "no private key in PEM" in wrong(made.pem(leaf), b"nonsense")["key"]
    assert "has a password" in wrong(made.pem(leaf), made.key_pem(leaf, b"secret"))["key"]
    assert "does not belong" in wrong(made.pem(leaf, middle), made.key_pem(root))["key"]
    assert set(wrong(b"", b"")) == {"chain", "key"}
    stranger = made.made("Stranger")
    assert "nothing to do with yours" in wrong(made.pem(leaf, stranger), key)["chain"]
    assert "far more" in wrong(made.pem(*(made.made(f"CA {n}") for n in range(11))), key)["chain"]


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"days": (-90, -1)}, "The certificate ended on 2026-09-20"),
        ({"days": (1, 90)}, "begins on 2026-09-22 only"),
        ({"use": ExtendedKeyUsageOID.CLIENT_AUTH}, "not for servers"),
    ],
)
def test_a_certificate_that_browsers_would_refuse(middle, about, said: str):
    one = made.made("Leaf", middle, **{"names": ("a.example",), **about})
    assert said in wrong(made.pem(one, middle), made.key_pem(one))["chain"]


def test_one_without_names_or_with_a_poor_key(middle):
    unnamed = made.made("Leaf", middle)
    assert "names no host" in wrong(made.pem(unnamed), made.key_pem(unnamed))["chain"]
    short = made.made("Leaf", middle, names=("a.example",), key=rsa.generate_private_key(65537, 1024))
    assert "1024 bits is too short" in wrong(made.pem(short), made.key_pem(short))["key"]
    odd = made.made("Odd", middle, names=("a.example",), key=ed25519.Ed25519PrivateKey.generate())
    assert "RSA and ECDSA" in wrong(made.pem(odd), made.key_pem(odd))["key"]
    free = made.made("Leaf", middle, names=("a.example",), use=None)
    assert given.judged(made.pem(free), made.key_pem(free), NOW)[0].names == ("a.example",)


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("phones.clinic.example", True),
        ("PHONES.clinic.example.", True),
        ("x.staff.clinic.example", True),
        ("x.y.staff.clinic.example", False),
        ("staff.clinic.example", False),
        ("clinic.example", False),
        ("", False),
    ],
)
def test_whom_it_names(host: str, good: bool):
    assert given.Given(NAMES, 0.0, "", "", False).names_host(host) is good


def test_it_is_kept_for_its_owner_alone_and_forgotten(tmp_path: Path, leaf, middle):
    folder = tmp_path / "tls"
    assert given.held(folder) is None
    told, file = given.judged(made.pem(leaf, middle), made.key_pem(leaf), NOW)
    given.keep(folder, file, True)
    assert (folder / given.FILE).stat().st_mode & 0o777 == 0o600
    assert given.held(folder) == told._replace(hsts=True)
    assert given.drop(folder)
    assert not given.drop(folder)
    assert given.held(folder) is None


# in use


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[given.Server, Path, int]]:
    """A TLS server with the own certificate, that lets the given one be chosen; its port."""
    folder = tmp_path / "tls"
    context = certificates.context(folder, ["192.0.2.1"])
    server = given.Server(folder)
    server.choose(context)
    listener = create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with closing(sock):
                try:
                    context.wrap_socket(sock, server_side=True).close()
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield server, folder, listener.getsockname()[1]
    listener.shutdown(2)
    listener.close()
    thread.join()


def shown(port: int, name: str | None) -> str:
    """The common name of the certificate that a client is shown which asks for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        create_connection(("127.0.0.1", port)) as sock,
        context.wrap_socket(sock, server_hostname=name) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


def test_it_is_served_by_its_names_only_without_a_restart(served, middle):
    server, folder, port = served
    now = time.time()
    first = made.made("First", middle, names=("phones.clinic.example",), now=now)
    assert shown(port, "phones.clinic.example") == "CN=Provisioner"
    given.keep(folder, given.judged(made.pem(first, middle), made.key_pem(first), now)[1], False)
    server.load()
    asked = ("phones.clinic.example", "other.example", None)
    assert [shown(port, name) for name in asked] == ["CN=First", "CN=Provisioner", "CN=Provisioner"]
    second = made.made("The second one", middle, names=("phones.clinic.example",), now=now)
    given.keep(folder, given.judged(made.pem(second, middle), made.key_pem(second), now)[1], False)
    server.load()
    assert shown(port, "phones.clinic.example") == "CN=The second one"
    given.drop(folder)
    server.load()
    assert shown(port, "phones.clinic.example") == "CN=Provisioner"


def test_one_that_ended_or_is_broken_gives_way_to_the_own(served, middle):
    server, folder, port = served
    old = made.made("Old", middle, names=("phones.clinic.example",), now=time.time() - 365 * 86_400)
    file = given.judged(made.pem(old, middle), made.key_pem(old), time.time() - 365 * 86_400)[1]
    given.keep(folder, file, False)
    server.load()
    assert shown(port, "phones.clinic.example") == "CN=Provisioner"
    (folder / given.FILE).write_bytes(b"broken")
    server.load()
    assert shown(port, "phones.clinic.example") == "CN=Provisioner"
