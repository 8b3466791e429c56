"""Whole numbers out of forms and addresses: what people, and strangers' programs, put there."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from provisioner.web.forms import whole

LONG = "9" * 5000  # more digits than Python turns into a number (CVE-2020-10735)


@pytest.mark.parametrize(
    ("text", "found"),
    [("0", 0), ("007", 7), ("9" * 15, 999_999_999_999_999), ("9" * 16, None), (LONG, None), ("", None),
     ("-1", None), ("1.0", None), (" 1", None), ("²", None), ("٣", None), ("1e3", None)],
)  # fmt: skip
def test_whole(text: str, found: int | None) -> None:
    assert whole(text) == found


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/staff/numbers/%2B14155550101", "revision"),
        ("/staff/trunks/core/remove", "revision"),
        ("/staff/practice", "revision"),
        ("/staff/extensions/101", "forward_no_answer_seconds"),
        ("/staff/emergency/settings", "mail_port"),
    ],
)
def test_a_number_without_end_breaks_no_form(staff: FlaskClient, csrf: str, path: str, field: str) -> None:
    assert staff.post(path, data={"csrf": csrf, field: LONG}).status_code < 500


def test_nor_a_list(staff: FlaskClient) -> None:
    for path in ("phones?page=", "requests?before=", "audit?before=", "calls?before="):
        assert staff.get(f"/staff/{path}{LONG}").status_code == 200
