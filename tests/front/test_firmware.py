"""Firmware images: whole, in part, dropped after the header, and to phones that take their time."""

from __future__ import annotations

import os
import socket
import struct
import time
from contextlib import suppress

import pytest

from provisioner.front.firmware import Image
from provisioner.front.phone_files import PIECE
from tests.front.harness import Front, read_all, read_until
from tests.front.test_files import fetch
from tests.front.test_tftp import fetch as tftp_fetch
from tests.phones.samples import AGENTS, MODELS

POLYCOM, YEALINK, GRANDSTREAM = MODELS
NAMES = {
    POLYCOM: ("polycom", "3111-48450-001.sip.ld"),
    YEALINK: ("yealink", "T46S-66.86.0.15.rom"),
    GRANDSTREAM: ("grandstream", "gxp2170fw.bin"),
}
SIZE = 3_000_017


def image(front: Front, vendor: str, name: str, size: int = SIZE) -> bytes:
    folder = front.folder / "firmware" / vendor
    folder.mkdir(parents=True, exist_ok=True)
    data = os.urandom(size)
    (folder / name).write_bytes(data)
    return data


@pytest.mark.parametrize("mac", MODELS)
@pytest.mark.parametrize("folder", ["", "/firmware/1.2", "//Grandstream/"])
def test_each_maker_gets_its_image(front: Front, mac: str, folder: str) -> None:
    vendor, name = NAMES[mac]
    data = image(front, vendor, name)
    status, headers, body = fetch(front, f"{folder}/{name}", {"User-Agent": AGENTS[mac]})
    assert (status, body == data, headers["Content-Length"]) == (200, True, str(SIZE))
    assert headers["Content-Type"] == "application/octet-stream"
    wait_until(lambda: front.journal.of("requests"))
    (row,) = front.journal.of("requests")
    assert (row["rule"], row["bytes"], row["status"]) == ("firmware", SIZE, 200)


def test_head_and_ranges(front: Front) -> None:
    vendor, name = NAMES[POLYCOM]
    data = image(front, vendor, name)
    agent = {"User-Agent": AGENTS[POLYCOM]}
    status, headers, body = fetch(front, f"/{name}", agent, method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(SIZE), b"")
    status, headers, body = fetch(front, f"/{name}", {**agent, "Range": "bytes=1000000-2999999"})
    assert (status, body == data[1_000_000:3_000_000]) == (206, True)
    assert headers["Content-Range"] == f"bytes 1000000-2999999/{SIZE}"
    status, headers, body = fetch(front, f"/{name}", {**agent, "Range": f"bytes={SIZE}-"})
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{SIZE}", b"")


@pytest.mark.parametrize(("mac", "name"), [(mac, name) for mac, (_, name) in NAMES.items()])
def test_what_there_is_not_is_404_and_never_a_file(front: Front, mac: str, name: str) -> None:
    image(front, NAMES[mac][0], "another" + name[-4:])
    (front.folder / "firmware" / NAMES[mac][0] / name).mkdir()
    status, headers, body = fetch(front, f"/{name}", {"User-Agent": AGENTS[mac]})
    assert (status, headers["Content-Length"]) == (404, str(len(body)))
    assert front.journal.of("requests")[-1]["rule"] == "not-there"


def test_another_makers_image_is_not_given(front: Front) -> None:
    image(front, "polycom", "gxp2170fw.bin")
    assert fetch(front, "/gxp2170fw.bin", {"User-Agent": AGENTS[GRANDSTREAM]})[0] == 404


def test_a_phone_that_reads_the_header_only(front: Front) -> None:
    vendor, name = NAMES[POLYCOM]
    image(front, vendor, name, 40_000_000)
    for _ in range(20):
        with front.connect() as sock:
            sock.sendall(f"GET /{name} HTTP/1.0\r\nUser-Agent: {AGENTS[POLYCOM]}\r\n\r\n".encode())
            read_until(sock, b"\r\n\r\n")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
    assert fetch(front, f"/{name}", {"User-Agent": AGENTS[POLYCOM], "Range": "bytes=0-9"})[0] == 206
    wait_until(lambda: len(front.journal.of("requests")) == 21)
    rows = front.journal.of("requests")
    assert all(row["bytes"] < 20_000_000 for row in rows)  # what it took, not what it could have had
    assert not open_images(front)


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def open_images(front: Front) -> list[str]:
    names = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue
    return [name for name in names if name.startswith(str(front.folder / "firmware"))]


def test_many_slow_readers_disturb_nobody(front: Front) -> None:
    vendor, name = NAMES[POLYCOM]
    image(front, vendor, name, 40_000_000)
    slow = [front.connect() for _ in range(100)]
    for sock in slow:
        sock.sendall(f"GET /{name} HTTP/1.1\r\nUser-Agent: {AGENTS[POLYCOM]}\r\n\r\n".encode())
    for sock in slow:
        read_until(sock, b"\r\n\r\n")
    held = front.call(lambda: [each.transport.get_write_buffer_size() for each in front.server._connections])
    assert max(held) <= 2 * PIECE
    assert fetch(front, f"/{POLYCOM}-line.cfg", {"User-Agent": AGENTS[POLYCOM]})[0] == 200
    for sock in slow:
        sock.close()
    wait_until(lambda: not open_images(front))


def test_an_image_that_shrinks_ends_the_connection(front: Front) -> None:
    vendor, name = NAMES[POLYCOM]
    image(front, vendor, name, 40_000_000)
    with front.connect() as sock:
        sock.sendall(f"GET /{name} HTTP/1.1\r\nUser-Agent: {AGENTS[POLYCOM]}\r\n\r\n".encode())
        read_until(sock, b"\r\n\r\n")
        os.truncate(front.folder / "firmware" / vendor / name, 1000)
        with suppress(ConnectionError):
            assert len(read_all(sock)) < 40_000_000


def test_what_the_kernel_does_not_have_in_memory_is_read_all_the_same(front: Front) -> None:
    data = image(front, *NAMES[POLYCOM])
    path = front.folder / "firmware" / "polycom" / NAMES[POLYCOM][1]
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    whole = Image(path)
    got = b""
    while piece := front.run(whole.piece(len(got), 100_000)):
        got += piece
    whole.close()
    whole.close()
    assert got == data


def test_an_image_by_tftp(front: Front) -> None:
    data = image(front, "yealink", "T46S-66.86.0.15.rom", 200_000)
    got, _ = tftp_fetch(front, "T46S-66.86.0.15.rom", "blksize", "1024", "tsize", "0")
    assert got == data
    assert tftp_fetch(front, "T46S-66.86.0.16.rom")[0] == 1
    assert tftp_fetch(front, "T46S-66.86.0.15.rom", mode="netascii")[0] == 4
    wait_until(lambda: not open_images(front))
