"""The appliance's own authority and certificate."""

from __future__ import annotations

import http.client
import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provisioner import certificates as tls
from provisioner.errors import OperatorError
from tests.front.harness import Front
from tests.front.test_files import fetch
from tests.front.test_firmware import wait_until
from tests.front.test_tftp import fetch as tftp_fetch
from tests.phones.samples import AGENTS, MODELS, password

POLYCOM = next(iter(MODELS))
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_made_once_and_reused(tmp_path: Path) -> None:
    tls.context(tmp_path, ["192.0.2.10", "clinic.example"], NOW)
    first = {name: (tmp_path / name).read_bytes() for name in ("ca.pem", "server.pem")}
    own = certificate(tmp_path / "server.pem")
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["clinic.example", "localhost"]
    assert {str(each) for each in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "192.0.2.10"}
    own.verify_directly_issued_by(certificate(tmp_path / "ca.pem"))
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in first} == {0o600}

    tls.context(tmp_path, ["192.0.2.10"], NOW + timedelta(days=300))
    assert {name: (tmp_path / name).read_bytes() for name in first} == first

    tls.context(tmp_path, ["192.0.2.11"], NOW)  # a new address: a new certificate of the same authority
    assert (tmp_path / "ca.pem").read_bytes() == first["ca.pem"]
    assert (tmp_path / "server.pem").read_bytes() != first["server.pem"]


def test_what_is_outlived_or_broken_is_made_anew(tmp_path: Path) -> None:
    tls.context(tmp_path, [], NOW)
    first = certificate(tmp_path / "server.pem")
    tls.context(tmp_path, [], NOW + timedelta(days=800))
    second = certificate(tmp_path / "server.pem")
    assert (second.issuer, second.serial_number != first.serial_number) == (first.issuer, True)
    (tmp_path / "ca.pem").write_bytes(b"junk")
    tls.context(tmp_path, [], NOW + timedelta(days=801))
    certificate(tmp_path / "server.pem").verify_directly_issued_by(certificate(tmp_path / "ca.pem"))


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(OperatorError, match="remove that directory"):
        tls.context(tmp_path / "tls", [], NOW)


def test_a_phone_fetches_over_tls(front: Front) -> None:
    mac, agent = next(iter(AGENTS.items()))
    connection = http.client.HTTPSConnection("127.0.0.1", front.https, timeout=10, context=front.client())
    for _ in range(3):
        connection.request("GET", f"/{mac}-line.cfg", headers={"User-Agent": agent})
        assert password(mac).encode() in connection.getresponse().read()
    connection.close()
    assert len(MODELS) == 3


def test_nothing_older_than_tls_1_2(front: Front) -> None:
    old = front.client()
    with pytest.warns(DeprecationWarning, match=r"TLSv1 "):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match=r"TLSv1_1 "):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
    with front.connect(front.https) as sock, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(sock, server_hostname="127.0.0.1")


# -- the authority, for phones ----------------------------------------


@pytest.mark.parametrize("name", ["/ca.pem", "/any/folder//CA.CRT", "/ca.der", "/ca.cer"])
def test_the_authority_is_given_to_anybody_without_its_key(front: Front, name: str) -> None:
    status, headers, body = fetch(front, name, {"User-Agent": "curl/8"})
    load = x509.load_pem_x509_certificate if b"-----" in body else x509.load_der_x509_certificate
    assert (status, headers["Content-Length"]) == (200, str(len(body)))
    assert load(body) == certificate(front.folder / "tls" / "ca.pem")
    assert b"PRIVATE" not in body
    assert tftp_fetch(front, name)[0] == body
    assert [row["rule"] for row in front.journal.of("requests")] == ["authority"] * 2
    assert fetch(front, name, {}, method="PUT", body=b"x")[0] == 404


def test_the_authority_is_given_before_there_is_an_inventory(front: Front) -> None:
    front.lookup.renderer = None
    assert fetch(front, "/ca.pem")[0] == 200


def test_there_is_no_authority_without_certificates(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="remove that directory"):
        tls.authority(tmp_path)


# -- phones' own certificates ----------------------------------------


class Maker:
    """A maker that gives each phone a certificate, in the ways of factories."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.root = self._sign(self.name, self.key.public_key(), True)

    def _sign(self, subject: x509.Name, key: Any, ca: bool, days: int = 400) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=500))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca, None), True)
            .sign(self.key, hashes.SHA256())
        )

    def phone(self, folder: Path, name: str, days: int = 400) -> Path:
        """Key and certificate of a phone whose common name is `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._sign(subject, key.public_key(), False, days)
        path = folder / f"{name.replace(':', '')}.phone.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        return path


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """A maker whose authority is installed, beside a file that is none."""
    made = Maker("Phone Maker Root")
    folder = tmp_path / "makers"
    folder.mkdir()
    (folder / "maker.pem").write_bytes(made.root.public_bytes(serialization.Encoding.PEM))
    (folder / "broken.pem").write_text("no certificate")
    return made


def over_tls(front: Front, path: str, own: Path | None, port: int = 0) -> tuple[int, bytes]:
    """A phone's request with its certificate."""
    context = front.client()
    if own:
        context.load_cert_chain(own)
    connection = http.client.HTTPSConnection("127.0.0.1", port or front.https, timeout=10, context=context)
    try:
        connection.request("GET", path, headers={"User-Agent": AGENTS[POLYCOM]})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["0004F2000101", "0004f2000101", "00:04:F2:00:01:01", "00-04-f2-00-01-01"])
@pytest.mark.parametrize("days", [400, -1])
def test_a_certificate_is_the_phones(
    maker: Maker, front: Front, tmp_path: Path, name: str, days: int
) -> None:
    status, body = over_tls(front, f"/{POLYCOM}-line.cfg", maker.phone(tmp_path, name, days))
    assert (status, password(POLYCOM).encode() in body) == (200, True)
    assert front.journal.of("requests")[-1]["rule"] == "certificate"


def test_another_phones_certificate_gets_nothing(maker: Maker, front: Front, tmp_path: Path) -> None:
    status, body = over_tls(front, f"/{POLYCOM}-line.cfg", maker.phone(tmp_path, "0004F2000199"))
    assert (status, password(POLYCOM).encode() in body) == (403, False)
    assert front.journal.of("requests")[-1]["rule"] == "other-certificate"


def test_a_certificate_is_not_required(maker: Maker, front: Front) -> None:
    assert over_tls(front, f"/{POLYCOM}-line.cfg", None)[0] == 200


def test_a_certificate_of_nobody_is_asked_for_once(maker: Maker, front: Front, tmp_path: Path) -> None:
    stranger = Maker("Nobody").phone(tmp_path, "0004F2000101")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        over_tls(front, f"/{POLYCOM}-line.cfg", stranger)
    wait_until(lambda: front.journal.of("requests"))
    row = front.journal.of("requests")[-1]
    assert (row["method"], row["rule"], row["address"]) == ("TLS", "unknown-certificate", "127.0.0.1")
    assert over_tls(front, f"/{POLYCOM}-site.cfg", stranger)[0] == 200  # unproven, but not cut off
    assert front.journal.of("requests")[-1]["rule"] == "adopted"
    front.later(90_000)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        over_tls(front, f"/{POLYCOM}-site.cfg", stranger)


def test_without_a_makers_authority_no_certificate_is_asked_for(front: Front, tmp_path: Path) -> None:
    assert over_tls(front, f"/{POLYCOM}-site.cfg", Maker("Nobody").phone(tmp_path, "0004F2000101"))[0] == 200


# -- TLS of old ----------------------------------------


def old_client(front: Front, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = front.client()
    context.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_an_old_phone_on_the_port_for_old_phones(front: Front, version: ssl.TLSVersion) -> None:
    context = old_client(front, version)
    connection = http.client.HTTPSConnection("127.0.0.1", front.legacy, timeout=10, context=context)
    connection.request("GET", f"/{POLYCOM}-line.cfg", headers={"User-Agent": AGENTS[POLYCOM]})
    assert password(POLYCOM).encode() in connection.getresponse().read()
    assert connection.sock.version() == version.name.replace("_", ".")
    connection.close()


@pytest.mark.parametrize(
    "path", ["/", "/staff/", "/staff", "/api/v1/phones", "/metrics", "/healthz", "/staff/events"]
)
def test_that_port_has_no_pages_for_staff(front: Front, path: str) -> None:
    assert over_tls(front, path, None, front.legacy)[0] == 404
    assert front.journal.of("requests")[-1]["rule"] == "no-such-file"


def test_that_port_knows_no_suite_without_a_certificate(front: Front) -> None:
    context = front.client()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:eNULL:@SECLEVEL=0")
    with front.connect(front.legacy) as sock, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(sock, server_hostname="127.0.0.1")
