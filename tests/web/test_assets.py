"""Files of the pages: kept for good under an address that names their content, compressed, and light in all."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import every_page
from flask.testing import FlaskClient

BUDGET = 250_000  # bytes of a page with all that a browser loads for it, when it has nothing yet


def assets_of(page: str) -> list[str]:
    return sorted(set(re.findall(r'(?:href|src)="(/staff/static/[^"]*)"', page)))


def test_an_address_that_names_the_content_is_kept_for_good(staff: FlaskClient, edge: Any) -> None:
    found = assets_of(staff.get("/staff/calls").get_data(as_text=True))
    assert len(found) >= 5
    for address in found:
        assert re.search(r"\?v=[0-9a-f]{12}$", address)
        answer = staff.get(address, buffered=True)
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        old = staff.get(address[:-1] + ("0" if address[-1] != "0" else "1"), buffered=True)
        assert (old.status_code, old.headers["Cache-Control"]) == (200, "no-cache")
        assert staff.get(address.partition("?")[0], buffered=True).headers["Cache-Control"] == "no-cache"


def test_a_style_sheet_comes_compressed_to_who_takes_that(staff: FlaskClient) -> None:
    plain = staff.get("/staff/static/staff.css", buffered=True)
    packed = staff.get("/staff/static/staff.css", headers={"Accept-Encoding": "br, gzip"}, buffered=True)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 3
    assert packed.headers["Vary"] == "Accept-Encoding"
    again = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}
    assert staff.get("/staff/static/staff.css", headers=again, buffered=True).status_code == 304


def test_pages_themselves_are_not_compressed(staff: FlaskClient, edge: Any) -> None:
    assert "Content-Encoding" not in staff.get("/staff/calls", headers={"Accept-Encoding": "gzip"}).headers


def test_a_file_that_is_not_there(staff: FlaskClient) -> None:
    assert staff.get("/staff/static/none.css?v=000000000000").status_code == 404


def test_every_page_is_light(tmp_path: Path) -> None:
    weights = {}
    with every_page.house(tmp_path / "state") as house:
        client = house.app.test_client()
        token = house.app.extensions["provisioner"].inventory.new_token("sign-in", 60, "administrator")
        client.get(f"/staff/sign-in/{token}")
        for path in house.paths():
            answer = client.get(path)
            found = assets_of(answer.get_data(as_text=True))
            weights[path] = len(answer.data) + sum(
                len(client.get(each, buffered=True).data) for each in found
            )
    assert sum(weight > 100_000 for weight in weights.values()) > len(weights) / 2  # assets were counted
    assert {path: weight for path, weight in weights.items() if weight > BUDGET} == {}
