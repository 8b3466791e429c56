"""The appliance's own authority and certificate."""

from __future__ import annotations

import http.client
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from provisioner import certificates as tls
from provisioner.errors import OperatorError
from tests.front.harness import Front
from tests.phones.samples import AGENTS, MODELS, password

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
