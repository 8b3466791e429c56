"""Take the pictures of the documentation from a running demo: `screenshots.py READY_FILE [DIRECTORY]`.

The one-time link of the ready file is used up. Needs playwright and chromium (CHROMIUM: its path).
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import zlib
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, sync_playwright

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
CLIP = {"x": 0, "y": 0, "width": 390, "height": 1300}  # of a long page, its beginning
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PHONE = "PHONE"  # in a path: the page of the first adopted phone
DISCOVERY = "/staff/discovery"
PICTURES = (  # name, page, window, colour scheme, language
    ("overview", "/staff/", WIDE, "light", "en"),
    ("overview-dark", "/staff/", WIDE, "dark", "en"),
    ("overview-narrow", "/staff/", NARROW, "light", "en"),
    ("overview-spanish", "/staff/", NARROW, "light", "es"),
    ("phones", "/staff/phones", WIDE, "light", "en"),
    ("phones-narrow", "/staff/phones", NARROW, "dark", "en"),
    ("phone", PHONE, WIDE, "light", "en"),
    ("keys", f"{PHONE}/keys", WIDE, "light", "en"),
    ("calls", "/staff/calls", WIDE, "light", "en"),
    ("requests", "/staff/requests", WIDE, "light", "en"),
    ("readiness", "/staff/emergency/readiness", WIDE, "light", "en"),
    ("locations", "/staff/locations", WIDE, "light", "en"),
    ("first-start", "/staff/setup/practice", WIDE, "light", "en"),
    ("practice", "/staff/practice", WIDE, "dark", "en"),
    ("backup", "/staff/backup", WIDE, "light", "en"),
    ("discovery", DISCOVERY, WIDE, "light", "en"),  # the last: who asks for it would show on the others
)
ASKING = (  # phones that are plugged in for the picture: what they ask for, and what they say that they are
    ("0004f2000174.cfg", "FileTransport PolycomVVX-VVX_411-UA/5.9.7.4477 (SN:0004f2000174) Type/Application"),
    ("001565000175.cfg", "Yealink SIP-T46S 66.85.0.5 00:15:65:00:01:75"),
)


def smaller(picture: bytes) -> bytes:
    """The same PNG, compressed as well as zlib can: browsers hurry when they take a picture."""
    at, chunks, data = 8, [], b""
    while at < len(picture):
        (length,) = struct.unpack_from(">I", picture, at)
        kind, body = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            data += body
        else:
            chunks.append((kind, body))
        at += 12 + length
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(data), 9)))
    return picture[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def first_phone(page: Page, origin: str) -> str:
    """The path of the first adopted phone's page."""
    page.goto(f"{origin}/staff/phones?status=ready")
    link = page.locator("#live a[href^='/staff/phones/']").first.get_attribute("href")
    return str(link)


def plug_in(page: Page, origin: str) -> None:
    """Let phones ask that nobody adopted, until their page shows them."""
    for path, agent in ASKING:
        page.request.get(f"{origin}/{path}", headers={"User-Agent": agent})
    page.goto(origin + DISCOVERY)
    page.locator("#live tbody tr").nth(len(ASKING) - 1).wait_for()


def shoot(browser: Browser, staff_url: str, directory: Path) -> None:
    """Sign in, then take each picture."""
    page = browser.new_context(ignore_https_errors=True, locale="en-US").new_page()
    page.goto(staff_url)
    origin = staff_url.partition("/staff/")[0]
    phone = first_phone(page, origin)
    for name, path, window, scheme, language in PICTURES:
        page.set_viewport_size(window)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.context.add_cookies([{"name": "language", "value": language, "url": origin}])
        if path == DISCOVERY:
            plug_in(page, origin)
        page.goto(origin + path.replace(PHONE, phone))
        page.locator("#live-state.good").wait_for()
        taken = page.screenshot(full_page=window is NARROW, clip=CLIP if window is NARROW else None)  # type: ignore[arg-type]
        (directory / f"{name}.png").write_bytes(smaller(taken))
        print(directory / f"{name}.png")


def main() -> int:
    """0 when all pictures are there."""
    if len(sys.argv) not in (2, 3):
        print("call it so: screenshots.py READY_FILE [DIRECTORY]", file=sys.stderr)
        return 2
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    directory = Path(sys.argv[2] if len(sys.argv) == 3 else "docs/images")
    directory.mkdir(parents=True, exist_ok=True)
    try:
        staff_url = str(json.loads(Path(sys.argv[1]).read_text())["staff_url"])
        with sync_playwright() as started:
            browser = started.chromium.launch(executable_path=chromium, args=FLAGS)
            shoot(browser, staff_url, directory)
            browser.close()
    except (OSError, ValueError, KeyError) as error:
        print(f"{sys.argv[1]} is no ready file ({error}): start the demo with --ready-file", file=sys.stderr)
        return 1
    except Error as error:
        print(
            f"no pictures ({error.message.splitlines()[0]}): is the demo running, the link unused?",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
