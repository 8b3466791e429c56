"""Programs that nobody here wrote fetch and send real files: curl, wget, tftp-hpa, atftp, GnuTLS, OpenSSL."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.front.conftest import certificates, front  # noqa: F401 - fixtures
from tests.front.harness import Front
from tests.front.test_firmware import image
from tests.phones.samples import AGENTS, MODELS, password

POLYCOM, YEALINK, GRANDSTREAM = MODELS
FILES = {POLYCOM: f"{POLYCOM}-line.cfg", YEALINK: f"{YEALINK}.cfg", GRANDSTREAM: f"cfg{GRANDSTREAM}.xml"}
OVER_16_BITS = 65_536 * 512 + 1000  # bytes: more blocks than a block number counts


def run(*command: str, given: bytes = b"", fails: bool = False) -> bytes:
    """What a program prints."""
    done = subprocess.run(command, input=given, capture_output=True, timeout=120, check=False)
    assert fails or done.returncode == 0, (command, done.stdout[-500:], done.stderr[-500:])
    return done.stdout


def url(front: Front, path: str, scheme: str = "http") -> str:
    port = {"http": front.http, "https": front.https, "legacy": front.legacy, "tftp": front.tftp_port}[scheme]
    return f"{scheme.replace('legacy', 'https')}://127.0.0.1:{port}/{path}"


def authority(front: Front) -> str:
    """The authority as phones get it: over plain HTTP."""
    path = front.folder / "fetched.pem"
    path.write_bytes(run("curl", "-s", "-f", url(front, "ca.pem")))
    return str(path)


# -- HTTP and HTTPS ----------------------------------------


@pytest.mark.peer("curl", "wget")
@pytest.mark.parametrize("mac", MODELS)
def test_curl_and_wget_get_the_same(front: Front, mac: str) -> None:
    agent, path = AGENTS[mac], FILES[mac]
    ca = authority(front)
    got = {
        run("curl", "-s", "-f", "-A", agent, url(front, path)),
        run("curl", "-s", "-f", "-0", "-A", agent, url(front, path)),
        run("curl", "-s", "-f", "--path-as-is", "-A", agent, url(front, f"/provisioning//{path.upper()}")),
        run("curl", "-s", "-f", "-A", agent, "--cacert", ca, url(front, path, "https")),
        run("curl", "-s", "-f", "-x", url(front, ""), "-A", agent, f"http://192.0.2.1/any/{path}"),
        run("wget", "-q", "-O", "-", "-U", agent, url(front, path)),
        run("wget", "-q", "-O", "-", "-U", agent, "--no-http-keep-alive", url(front, path)),
        run("wget", "-q", "-O", "-", "-U", agent, f"--ca-certificate={ca}", url(front, path, "https")),
        run("curl", "-s", "-f", url(front, path, "tftp")),
    }
    (whole,) = got
    assert password(mac).encode() in whole


@pytest.mark.peer("curl", "wget")
def test_parts_heads_and_broken_downloads(front: Front, tmp_path: Path) -> None:
    data = image(front, "polycom", "3111-48450-001.sip.ld")
    agent, where = AGENTS[POLYCOM], url(front, "3111-48450-001.sip.ld")
    assert run("curl", "-s", "-f", "-A", agent, "-r", "1000-1999", where) == data[1000:2000]
    assert f"Content-Length: {len(data)}".encode() in run("curl", "-s", "-f", "-I", "-A", agent, where)
    run("wget", "-q", "--spider", "-U", agent, where)
    half = tmp_path / "3111-48450-001.sip.ld"
    half.write_bytes(data[:1_000_000])
    run("wget", "-q", "-c", "-P", str(tmp_path), "-U", agent, where)
    assert half.read_bytes() == data
    assert (
        run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-A", agent, where.replace("-484", "-485"))
        == b"404"
    )


@pytest.mark.peer("curl")
def test_curl_uploads(front: Front, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(os.urandom(100_000))
    to = url(front, f"logs/{POLYCOM}-app.log")
    code = run(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-A", AGENTS[POLYCOM], "-T", str(log), to
    )
    assert code == b"201"
    kept = front.folder / "uploads" / POLYCOM / f"{POLYCOM}-app.log"
    assert kept.read_bytes() == log.read_bytes()


# -- TFTP ----------------------------------------


def hpa(front: Front, mode: str, *words: str) -> bytes:
    return run("tftp", "-m", mode, "127.0.0.1", str(front.tftp_port), "-c", *words)


def atftp(front: Front, *words: str) -> bytes:
    return run("atftp", *words, "127.0.0.1", str(front.tftp_port))


@pytest.mark.peer("tftp", "atftp", "curl")
@pytest.mark.parametrize("mac", MODELS)
def test_tftp_clients_get_what_http_gives(front: Front, tmp_path: Path, mac: str) -> None:
    path = FILES[mac]
    whole = run("curl", "-s", "-f", "-A", AGENTS[mac], url(front, path))
    for number, options in enumerate(
        ([], ["--option", "blksize 1400"], ["--option", "windowsize 4"], ["--option", "tsize 0"])
    ):
        local = tmp_path / f"atftp{number}"
        atftp(front, *options, "--get", "-r", path, "-l", str(local))
        assert local.read_bytes() == whole
    hpa(front, "binary", "get", f"/folder/{path}", str(tmp_path / "hpa"))
    assert (tmp_path / "hpa").read_bytes() == whole
    hpa(front, "netascii", "get", path, str(tmp_path / "text"))
    assert (tmp_path / "text").read_bytes() == whole


@pytest.mark.peer("tftp", "atftp")
def test_tftp_clients_are_told_what_there_is_not(front: Front, tmp_path: Path) -> None:
    hpa(front, "binary", "get", "nothing.txt", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists() or not (tmp_path / "none").stat().st_size
    assert front.journal.of("requests")[-1]["rule"] == "no-such-file"


@pytest.mark.peer("tftp", "atftp", "curl")
def test_tftp_clients_send_logs_and_nothing_else(front: Front, tmp_path: Path) -> None:
    log = tmp_path / "log"
    name = f"{POLYCOM}-app.log"
    kept = front.folder / "uploads" / POLYCOM / name
    for number, send in enumerate(
        (
            lambda: hpa(front, "binary", "put", str(log), name),
            lambda: atftp(front, "--option", "blksize 1024", "--put", "-l", str(log), "-r", name),
            lambda: run("curl", "-s", "-f", "-T", str(log), url(front, name, "tftp")),
        )
    ):
        log.write_bytes(os.urandom(50_000 + number))
        send()
        assert kept.read_bytes() == log.read_bytes()
    hpa(front, "binary", "put", str(log), FILES[POLYCOM])
    assert front.journal.of("requests")[-1]["rule"] == "upload-refused"
    assert {path.name for path in kept.parent.iterdir()} == {name, f"{name}.1"}


@pytest.mark.peer("tftp", "atftp", "curl")
def test_a_large_image_rolls_over(front: Front, tmp_path: Path) -> None:
    name = "T46S-66.86.0.15.rom"
    data = image(front, "yealink", name, OVER_16_BITS)
    hpa(front, "binary", "get", name, str(tmp_path / "hpa"))
    assert (tmp_path / "hpa").read_bytes() == data
    assert run("curl", "-s", "-f", url(front, name, "tftp")) == data
    windows = ["--option", "blksize 1468", "--option", "windowsize 16"]
    atftp(front, *windows, "--get", "-r", name, "-l", str(tmp_path / "atftp"))
    assert (tmp_path / "atftp").read_bytes() == data


# -- TLS of old ----------------------------------------


def plain_request(mac: str) -> bytes:
    return f"GET /{FILES[mac]} HTTP/1.0\r\nUser-Agent: {AGENTS[mac]}\r\n\r\n".encode()


@pytest.mark.peer("curl")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_curl_with_old_tls_only(front: Front, version: str) -> None:
    words = [
        f"--tlsv{version}",
        "--tls-max",
        version,
        "--ciphers",
        "ALL:!aNULL:@SECLEVEL=0",
        "--cacert",
        authority(front),
    ]
    command = ["curl", "-s", "-f", *words, "-A", AGENTS[POLYCOM]]
    assert password(POLYCOM).encode() in run(*command, url(front, FILES[POLYCOM], "legacy"))
    assert run(*command, url(front, FILES[POLYCOM], "https"), fails=True) == b""


@pytest.mark.peer("gnutls-cli")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_gnutls_with_old_tls_only(front: Front, version: str) -> None:
    words = [
        f"--x509cafile={authority(front)}",
        "--priority",
        f"NORMAL:-VERS-ALL:+VERS-TLS{version}",
        "--logfile=/dev/null",
    ]
    said = run(
        "gnutls-cli", *words, "-p", str(front.legacy), "127.0.0.1", given=plain_request(POLYCOM), fails=True
    )
    assert password(POLYCOM).encode() in said
    assert b"HTTP/1.1 200" not in run(
        "gnutls-cli", *words, "-p", str(front.https), "127.0.0.1", given=plain_request(POLYCOM), fails=True
    )


@pytest.mark.peer("openssl")
def test_openssl_with_tls_1_0_and_a_suite_without_elliptic_curves(front: Front) -> None:
    words = [
        "-tls1",
        "-cipher",
        "AES128-SHA:@SECLEVEL=0",
        "-CAfile",
        authority(front),
        "-verify_return_error",
    ]
    said = run(
        "openssl", "s_client", "-ign_eof", *words, "-connect", f"127.0.0.1:{front.legacy}",
        given=plain_request(YEALINK), fails=True,
    )  # fmt: skip
    assert b"Protocol  : TLSv1\n" in said
    assert password(YEALINK).encode() in said
