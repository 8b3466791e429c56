"""Protection, the part of phones' files: who is in quarantine, and letting them ask again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import web_practice as practice
from flask.testing import FlaskClient
from test_pages import text

from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.web import words

ROW = {
    "source": "0200000000ff",
    "mac": "0200000000ff",
    "address": "192.0.2.66",
    "reason": "sweep",
    "until": practice.NOW + 3600,
    "hits": 77,
}
PAGE = "/staff/protection"


@pytest.fixture
def held(state: StateDir) -> Iterator[list[dict[str, Any]]]:
    """A front that has one source in quarantine, until it is released."""
    rows = [ROW]

    def release(args: dict[str, Any]) -> dict[str, Any]:
        if not rows or args["source"] != ROW["source"]:
            raise OperatorError("it is not in quarantine", "name a source as the list shows it")
        rows.clear()
        return args

    methods = {"status": lambda _: {"revision": 1, "quarantine": rows}, "release": release}
    process = practice.Process(state, "front", methods)
    yield rows
    process.close()


def test_it_is_named_in_plain_words(staff: FlaskClient, held: list[Any]) -> None:
    assert (
        "192.0.2.66 02:00:00:00:00:ff It asked for the files of many phones that it is not in 60 min 77"
        in text(staff, PAGE)
    )


@pytest.mark.parametrize("reason", [*words.QUARANTINE, "something-new"])
def test_every_reason_has_its_words(staff: FlaskClient, held: list[Any], reason: str) -> None:
    held[:] = [{**ROW, "reason": reason}]
    assert words.QUARANTINE.get(reason, "It behaved like an attacker") in text(staff, PAGE)


def test_release_needs_the_forms_token(staff: FlaskClient, held: list[Any], csrf: str) -> None:
    data = {"source": ROW["source"]}
    assert staff.post(f"{PAGE}/release", data=data).status_code == 403
    assert held
    answer = staff.post(f"{PAGE}/release", data={**data, "csrf": csrf})
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert "Nobody is in quarantine." in text(staff, PAGE)


def test_one_that_has_ended_is_said_so(staff: FlaskClient, held: list[Any], csrf: str) -> None:
    answer = staff.post(f"{PAGE}/release", data={"source": "192.0.2.1", "csrf": csrf})
    assert answer.status_code == 409
    assert "it is not in quarantine: name a source" in answer.get_data(as_text=True)


def test_the_overview_leads_there(staff: FlaskClient, held: list[Any]) -> None:
    page = staff.get("/staff/").get_data(as_text=True)
    assert "1 host in quarantine asked for phones" in page
    assert f'href="{PAGE}"' in page
    held.clear()
    assert PAGE not in staff.get("/staff/").get_data(as_text=True)
