"""The appliance's own authority to download, those of the makers to install, the folders of firmware."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from web_practice import text_of as text

from provisioner import certificates

PAGE = "/staff/certificates"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def made(name: str, authority: bool | None = True, issuer: str = "") -> bytes:
    """A certificate in PEM; `authority` None: one that does not say whether it is one."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer or name)]
    builder = (
        x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())
    )
    builder = builder.serial_number(7).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=9))
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def upload(staff, csrf, pem, maker="polycom"):
    form = {"csrf": csrf, "maker": maker, "pem": (io.BytesIO(pem), "maker.pem")}
    return staff.post(PAGE, data=form, follow_redirects=True)


@pytest.fixture
def folder(state, edge, front):
    return state.root / "tls"


def test_an_authority_is_installed_and_removed(staff, csrf, api, folder):
    page = upload(staff, csrf, b"words before\n" + made("Polycom Root") + made("Polycom Old", None))
    assert "CN=Polycom Root" in text(page)
    assert "CN=Polycom Old" in text(page)
    assert [len(held) for held in certificates.makers(folder).values()] == [2]
    assert (folder / "makers" / "polycom.pem").read_bytes().startswith(b"-----BEGIN CERTIFICATE")
    assert staff.post(f"{PAGE}/polycom/remove", data={"csrf": csrf}).status_code == 303
    assert certificates.makers(folder) == {}
    assert staff.post(f"{PAGE}/polycom/remove", data={"csrf": csrf}).status_code == 404


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (b"junk", "no certificate in PEM"),
        (b"", "no certificate in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\n", "private key"),
        (made("A phone", False), "CN=A phone is not an authority's certificate"),
        (made("Another", None, "Somebody"), "CN=Another is not an authority's certificate"),
    ],
)
def test_what_is_no_authority_is_refused(staff, csrf, api, folder, pem, words):
    page = upload(staff, csrf, pem)
    assert (page.status_code, words in text(page)) == (409, True)
    answer = api.put("/api/v1/certificates/makers/yealink", data=pem)
    assert (answer.status_code, words in answer.json["detail"]) == (409, True)
    assert certificates.makers(folder) == {}


def test_a_maker_that_there_is_not(staff, csrf, api, folder):
    assert upload(staff, csrf, made("Root"), "../polycom").status_code == 404
    assert api.put("/api/v1/certificates/makers/cisco", data=made("Root")).status_code == 404
    assert api.delete("/api/v1/certificates/makers/cisco").status_code == 404


def test_the_own_authority_comes_without_its_key(staff, api, folder):
    assert staff.get(f"{PAGE}/ca.pem").status_code == 503
    certificates.context(folder, [])
    pem = staff.get(f"{PAGE}/ca.pem")
    assert pem.data == certificates.authority(folder)["pem"]
    assert b"PRIVATE" not in pem.data
    assert staff.get(f"{PAGE}/ca.der").data == api.get("/api/v1/certificates/ca.der").data
    assert staff.get(f"{PAGE}/ca.key").status_code == 404
    assert "CN=Provisioner local CA" in text(staff.get(PAGE))


def test_all_of_it_by_api(api, folder, state):
    (state.root / "firmware" / "polycom").mkdir(parents=True)
    (state.root / "firmware" / "polycom" / "sip.ld").write_bytes(b"x" * 2048)
    assert [
        row["subject"] for row in api.put("/api/v1/certificates/makers/yealink", data=made("Root")).json
    ] == ["CN=Root"]
    told = api.get("/api/v1/certificates").json
    assert told["firmware"] == {"polycom": ["sip.ld"], "yealink": [], "grandstream": []}
    assert [len(held) for held in told["makers"].values()] == [0, 1, 0]
    assert told["authority"] is None
    assert api.delete("/api/v1/certificates/makers/yealink").status_code == 204


def test_the_page_tells_of_firmware_and_the_old_port(staff, folder, state, told_legacy):
    page = text(staff.get(PAGE))
    assert str(state.root / "firmware") in page
    assert "Open at https://192.0.2.10:8444" in page


@pytest.fixture
def told_legacy(app, monkeypatch):
    sources = app.extensions["provisioner"]
    asked = sources.ask

    def ask(process, call, args=None):
        answer, error = asked(process, call, args)
        return (
            {**answer, "legacy_https": "https://192.0.2.10:8444"} if process == "front" else answer
        ), error

    monkeypatch.setattr(sources, "ask", ask)
