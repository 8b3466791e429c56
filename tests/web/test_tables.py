"""Phones by table on page and API: preview, confirmation, export."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from provisioner.paths import StateDir

HEAD = "MAC,Model,Name,Extension,Number\n"
NEW = HEAD + "00:15:65:00:02:01,T46S,Room 9,109,\n"


@pytest.fixture
def api(app: Flask) -> FlaskClient:
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token("api", 60, "administrator")
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def upload(staff: FlaskClient, csrf: str, text: str) -> str:
    data = {"csrf": csrf, "table": (io.BytesIO(text.encode()), "phones.csv")}
    answer = staff.post("/staff/phones/import", data=data, content_type="multipart/form-data")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def finished(app: Flask, staff: FlaskClient, answer: TestResponse) -> str:
    """What the page of the job that `answer` leads to says at its end."""
    assert answer.status_code == 303
    app.extensions["provisioner.jobs"].wait(answer.location.rpartition("/")[2], 5)
    return practice.text_of(staff.get(answer.location))


def kept(state: StateDir) -> list[Path]:
    return list((state.root / "imports").glob("*.csv"))


def test_preview_changes_nothing_and_confirmation_does(
    staff: FlaskClient, csrf: str, app: Flask, state: StateDir, edge: dict[str, int]
) -> None:
    inventory = app.extensions["provisioner"].inventory
    before = inventory.snapshot()
    page = upload(staff, csrf, NEW)
    assert "1 new phone" in page
    assert "Nothing has been done yet" in page
    assert inventory.snapshot() == before
    action = re.findall(r'action="(/staff/phones/import/[0-9a-f]{64})"', page)[0]
    done = finished(app, staff, staff.post(action, data={"csrf": csrf}))
    assert "1 new phone" in done
    assert inventory.snapshot().phones["001565000201"].lines[0].extension == "109"
    assert edge["reloads"] == 1
    assert kept(state) == []
    assert staff.post(action, data={"csrf": csrf}).status_code == 410


def test_all_problems_are_shown_and_it_cannot_be_confirmed(
    staff: FlaskClient, csrf: str, state: StateDir
) -> None:
    page = upload(staff, csrf, HEAD + "1,T99,,911,\n00:15:65:00:02:01,T46S,<b>,109,\n")
    for words in (
        "is no MAC address",
        "There is no model",
        "911 begins with 9",
        "&lt;b&gt;",
        "1 row with problems",
    ):
        assert words in page
    assert not re.search(r'action="/staff/phones/import/[0-9a-f]{64}"', page)
    assert "Correct the rows with problems here" in page
    (table,) = kept(state)
    refused = staff.post(f"/staff/phones/import/{table.stem}", data={"csrf": csrf}, follow_redirects=True)
    assert "Not done" in refused.get_data(as_text=True) or refused.status_code == 200


def test_file_that_is_no_table(staff: FlaskClient, csrf: str) -> None:
    assert "No column is named MAC" in upload(staff, csrf, "a,b\n1,2\n")
    assert "There is no phone in it" in upload(staff, csrf, "")


def test_inventory_that_changed_meanwhile(staff: FlaskClient, csrf: str, app: Flask, edge: object) -> None:
    first, second = (upload(staff, csrf, HEAD + f"00156500020{n},T46S,,109,\n") for n in (1, 2))
    actions = [re.findall(r'action="(/staff/phones/import/\w+)"', page)[0] for page in (first, second)]
    assert "1 new phone" in finished(app, staff, staff.post(actions[0], data={"csrf": csrf}))
    page = finished(app, staff, staff.post(actions[1], data={"csrf": csrf}))
    assert "109 is that of 001565000201" in page
    assert "Nothing was changed" in page


def test_names_of_uploads_cannot_leave_the_folder(staff: FlaskClient, csrf: str) -> None:
    assert staff.post("/staff/phones/import/..inventory", data={"csrf": csrf}).status_code == 400
    assert staff.post("/staff/phones/import/" + "0" * 64, data={"csrf": csrf}).status_code == 410


def test_uploads_that_nobody_confirmed_go(staff: FlaskClient, csrf: str, state: StateDir) -> None:
    upload(staff, csrf, NEW)
    (file,) = kept(state)
    assert file.stat().st_mode & 0o777 == 0o600
    os.utime(file, (practice.NOW - 4000, practice.NOW - 4000))
    upload(staff, csrf, NEW.replace("Room 9", "Room 8"))
    assert file not in kept(state)
    assert len(kept(state)) == 1


def test_large_table_is_taken(staff: FlaskClient, csrf: str) -> None:
    rows = "".join(f"0015{number:08x},T46S,{'long name ' * 5},," + "\n" for number in range(2000))
    assert "And 1000 more rows" in upload(staff, csrf, HEAD + rows)


def test_export(staff: FlaskClient, api: FlaskClient) -> None:
    for client, path in ((staff, "/staff/phones.csv"), (api, "/api/v1/phones.csv")):
        answer = client.get(path)
        assert answer.mimetype == "text/csv"
        assert "attachment" in answer.headers["Content-Disposition"]
        lines = answer.data.decode("utf-8-sig").splitlines()
        assert lines[0] == HEAD.strip() + ",Location"
        assert "001565000102,Yealink T46S,Dr. Adams,102,+14155550102,lab" in lines


def test_export_is_taken_back_as_it_is(staff: FlaskClient, csrf: str) -> None:
    page = upload(staff, csrf, staff.get("/staff/phones.csv").data.decode())
    assert "3 as they are" in page
    assert "There is nothing to do" in page


def test_api(api: FlaskClient, app: Flask, edge: dict[str, int]) -> None:
    tried = api.post("/api/v1/phones/import?dry_run=1", data=NEW, content_type="text/csv").json
    assert (tried["good"], tried["rows"][0]["action"], tried["rows"][0]["mac"]) == (
        True,
        "new",
        "001565000201",
    )
    snapshot = app.extensions["provisioner"].inventory.snapshot
    assert "001565000201" not in snapshot().phones
    assert api.post("/api/v1/phones/import", data=NEW, content_type="text/csv").status_code == 200
    assert "001565000201" in snapshot().phones
    assert edge["reloads"] == 1
    refused = api.post("/api/v1/phones/import", data=HEAD + "x,T46S,,,\n", content_type="text/csv")
    assert refused.status_code == 409
    assert "line 2: 'x' is no MAC address" in refused.json["detail"]


def test_rows_with_problems_are_corrected_on_the_page(
    staff: FlaskClient, csrf: str, app: Flask, state: StateDir, edge: dict[str, int]
) -> None:
    rows = [
        "00:15:65:00:02:01,T46S,Room 9,109,",
        "00:15:65:00:02:0x,T46S,Room 8,108,",
        "00:15:65:00:02:03,T99,Room 7,107,",
        "00:15:65:00:02:04,T99,Room 6,106,",
    ]
    page = upload(staff, csrf, HEAD + "\n".join(rows))
    assert "3 rows with problems" in page
    assert ">Import</button>" not in page
    action = re.findall(r'action="(/staff/phones/import/[0-9a-f]{64}/correct)"', page)[0]
    assert 'name="mac-3" value="00:15:65:00:02:0x"' in page
    typed = {"csrf": csrf, "mac-3": "001565000202", "model-4": "T42S", "leave-5": "1"}
    again = staff.post(action, data=typed).get_data(as_text=True)
    assert "3 new phones" in again
    assert "0 rows with problems" in again
    confirm = re.findall(r'action="(/staff/phones/import/[0-9a-f]{64})"', again)[0]
    assert len(kept(state)) == 1
    assert staff.post(confirm, data={"csrf": csrf}).status_code == 303
    from provisioner.web import jobs

    with app.app_context():
        work = jobs.current()
        assert work.wait(work.all()[0].id, 10).state == "done"
    phones = app.extensions["provisioner"].inventory.snapshot().phones
    assert {phones[f"00156500020{n}"].model for n in (1, 2, 3)} == {"T46S", "T42S"}
    assert "001565000204" not in phones
    assert staff.post(action, data=typed).status_code == 410
