"""Take the pictures of the documentation from a running demo: `screenshots.py READY_FILE [DIRECTORY]`.

The one-time link of the ready file is used up. Needs playwright and chromium (CHROMIUM: its path).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, sync_playwright

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PICTURES = (  # name, page, window, colour scheme
    ("overview", "/staff/", WIDE, "light"),
    ("overview-dark", "/staff/", WIDE, "dark"),
    ("overview-narrow", "/staff/", NARROW, "light"),
    ("phones", "/staff/phones", WIDE, "light"),
    ("phone", "", WIDE, "light"),
    ("calls", "/staff/calls", WIDE, "light"),
    ("requests", "/staff/requests", WIDE, "light"),
)


def first_phone(page: Page, origin: str) -> str:
    """The path of the first adopted phone's page."""
    page.goto(f"{origin}/staff/phones?status=ready")
    link = page.locator("#live a[href^='/staff/phones/']").first.get_attribute("href")
    return str(link)


def shoot(browser: Browser, staff_url: str, directory: Path) -> None:
    """Sign in, then take each picture."""
    page = browser.new_context(ignore_https_errors=True).new_page()
    page.goto(staff_url)
    origin = staff_url.partition("/staff/")[0]
    phone = first_phone(page, origin)
    for name, path, window, scheme in PICTURES:
        page.set_viewport_size(window)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(origin + (path or phone))
        page.locator("#live-state.good").wait_for()
        page.screenshot(path=directory / f"{name}.png", full_page=window is NARROW)
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
