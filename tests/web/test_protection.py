"""The page Protection: who is shut out, why in plain words, until when, and letting them in again."""

from __future__ import annotations

from typing import Any

import pytest
import web_practice as practice
from flask.testing import FlaskClient
from test_pages import text

from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.web import words

BAN = {"source": "192.0.2.66", "reason": "scanner", "until": practice.NOW + 290, "hits": 1234}
PAGE = "/staff/protection"


@pytest.fixture
def banned(state: StateDir) -> Any:
    """An edge that has one ban, until it is lifted."""
    bans = [BAN]

    def unban(args: dict[str, Any]) -> dict[str, Any]:
        if args["source"] != BAN["source"] or not bans:
            raise OperatorError("that address is not banned", "look at the list, the ban may have ended")
        bans.clear()
        return {"source": args["source"]}

    methods = {"status": lambda _: {**practice.status(), "bans": bans}, "unban": unban}
    process = practice.Process(state, "edge", methods)
    yield bans
    process.close()


def test_a_ban_is_told_in_plain_words(staff: FlaskClient, banned: Any) -> None:
    page = text(staff, PAGE)
    assert (
        "192.0.2.66 It said that it is a program for finding telephone systems to misuse in 5 min 1234"
        in page
    )


@pytest.mark.parametrize("reason", [*words.BANS, "something-new"])
def test_every_reason_has_its_words(staff: FlaskClient, banned: Any, reason: str) -> None:
    banned[:] = [{**BAN, "reason": reason}]
    assert words.BANS.get(reason, "It behaved like an attacker") in text(staff, PAGE)
    assert reason not in text(staff, PAGE)


def test_unban_needs_the_forms_token_and_then_lets_in(staff: FlaskClient, banned: Any, csrf: str) -> None:
    data = {"source": BAN["source"]}
    assert staff.post(f"{PAGE}/unban", data=data).status_code == 403
    assert banned
    answer = staff.post(f"{PAGE}/unban", data={**data, "csrf": csrf})
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert "No address is shut out." in text(staff, PAGE)


def test_a_ban_that_has_ended_is_said_so(staff: FlaskClient, banned: Any, csrf: str) -> None:
    answer = staff.post(f"{PAGE}/unban", data={"source": "192.0.2.67", "csrf": csrf})
    assert answer.status_code == 409
    assert "that address is not banned: look at the list" in answer.get_data(as_text=True)


def test_the_overview_leads_there_only_when_something_is_banned(staff: FlaskClient, banned: Any) -> None:
    page = staff.get("/staff/").get_data(as_text=True)
    assert "1 address is shut out of the phone service" in page
    assert f'href="{PAGE}"' in page
    banned.clear()
    assert PAGE not in staff.get("/staff/").get_data(as_text=True)


def test_what_the_edge_says_is_escaped(staff: FlaskClient, banned: Any) -> None:
    banned[:] = [{**BAN, "source": "<b>x"}]
    assert "<b>x" not in staff.get(PAGE).get_data(as_text=True)


@pytest.mark.parametrize(
    ("seconds", "said"), [(1, "in 1 min"), (300, "in 5 min"), (7100, "in 118 min"), (86400, "in 24 h")]
)
def test_ahead(seconds: float, said: str) -> None:
    assert words.ahead(practice.NOW + seconds, practice.NOW) == said


API = "/api/v1/protection"


def test_the_api_tells_and_lets_in(api: FlaskClient, banned: Any) -> None:
    why = words.ban("scanner")
    assert api.get(f"{API}/bans").json["items"] == [{**BAN, "why": why}]
    answer = api.post(f"{API}/unban", json={"source": "192.0.2.67"})
    assert (answer.status_code, answer.json["detail"]) == (
        409,
        "that address is not banned: look at the list, the ban may have ended",
    )
    assert api.post(f"{API}/unban", json={"source": BAN["source"]}).status_code == 204
    assert api.get(f"{API}/bans").json["items"] == []


def test_no_list_is_made_up_when_nobody_answers(api: FlaskClient, banned: Any) -> None:
    answer = api.get(f"{API}/quarantine")
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
