"""Backups on page and by API: made, fetched, uploaded, looked into, restored, undone, planned."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient
from waitress.buffers import ReadOnlyFileBasedBuffer
from web_practice import NOW, text_of
from werkzeug.test import TestResponse

from provisioner.keeping import kept, making, seal
from provisioner.paths import StateDir
from provisioner.store.records import Phone, Practice, Trunk, TrunkSecret, User
from provisioner.web import findings, process
from tests.peers.wait import until

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    real = seal.lock
    monkeypatch.setattr(making.seal, "lock", lambda word, salt, _cost: real(word, salt, 2))


@pytest.fixture(autouse=True)
def _secret(app: Flask) -> None:
    with inventory(app).change("test") as change:
        change.put(TrunkSecret(id="core", user="u", password="trunk-secret-word"))
        change.put(User(id="ann", role="administrator", name="Ann Lee"))


def inventory(app: Flask) -> Any:
    return app.extensions["provisioner"].inventory


def ended(app: Flask, client: FlaskClient, answer: TestResponse) -> str:
    """What the page of the job that `answer` leads to says at its end, as HTML."""
    assert answer.status_code == 303, text_of(answer)
    job = app.extensions["provisioner.jobs"].wait(answer.location.rpartition("/")[2], 10)
    assert not job.open
    return client.get(answer.location).get_data(as_text=True)


def made(app: Flask, staff: FlaskClient, csrf: str, passphrase: str = PASSPHRASE) -> bytes:
    """A backup as the browser gets it."""
    form = {"csrf": csrf, "passphrase": passphrase, "again": passphrase}
    page = ended(app, staff, staff.post("/staff/backup", data=form))
    (link,) = re.findall(r'href="(/staff/backup/files/[^"]+)"', page)
    answer = staff.get(link, buffered=True)
    assert "attachment" in answer.headers["Content-Disposition"]
    return answer.data


def uploaded(staff: FlaskClient, csrf: str, data: bytes) -> TestResponse:
    form = {"csrf": csrf, "backup": (io.BytesIO(data), "backup.zip")}
    return staff.post("/staff/backup/restore", data=form, content_type="multipart/form-data")


def test_made_downloaded_restored_and_undone(
    app: Flask, staff: FlaskClient, csrf: str, edge: dict[str, Any], state: StateDir
) -> None:
    data = made(app, staff, csrf)
    held = inventory(app)
    with held.change("test") as change:
        change.delete(Phone, practice.YEALINK)
        change.put(Trunk(id="core", uri="sip:192.0.2.99"))
    answer = uploaded(staff, csrf, data)
    page = staff.get(answer.location)
    assert "Its passphrase" in text_of(page)
    assert "Front desk" not in text_of(page)
    wrong = staff.post(answer.location + "/open", data={"csrf": csrf, "passphrase": "wrong"})
    assert wrong.status_code == 422
    assert "not the passphrase" in text_of(wrong)
    opened = staff.post(answer.location + "/open", data={"csrf": csrf, "passphrase": PASSPHRASE})
    assert opened.location == answer.location
    shown = text_of(staff.get(answer.location))
    assert "phones 1" in shown
    assert "calling services 1" in shown
    assert "They are: Ann Lee." in shown
    assert held.get(Phone, practice.YEALINK) is None
    form = {"csrf": csrf, "part": ["inventory", "secrets"], "practice": "Bay Street"}
    refused = staff.post(answer.location, data=form)
    assert refused.status_code == 422
    assert "not the name of the practice" in text_of(refused)
    assert held.get(Phone, practice.YEALINK) is None
    page = ended(app, staff, staff.post(answer.location, data={**form, "practice": "Bay Street Clinic"}))
    assert "The backup is restored" in page
    assert held.get(Phone, practice.YEALINK)
    assert held.get(Trunk, "core")[0].uri == "sip:198.51.100.5:5060"
    assert edge["reloads"] == 1
    assert staff.get(answer.location).status_code == 410
    (undo,) = re.findall(r'action="(/staff/backup/files/[^"]+-restore.zip/restore)"', page)
    before = staff.post(undo, data={"csrf": csrf})
    form = {"csrf": csrf, "part": ["inventory"], "practice": "Bay Street Clinic"}
    assert "The backup is restored" in ended(app, staff, staff.post(before.location, data=form))
    assert held.get(Phone, practice.YEALINK) is None
    assert held.get(Trunk, "core")[0].uri == "sip:192.0.2.99"


def test_no_log_line_holds_the_passphrase(
    app: Flask, staff: FlaskClient, csrf: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    answer = uploaded(staff, csrf, made(app, staff, csrf))
    staff.post(answer.location + "/open", data={"csrf": csrf, "passphrase": PASSPHRASE + "!"})
    answer = staff.post("/staff/backup/plan", data={"csrf": csrf, "at": "x", "passphrase": PASSPHRASE})
    assert PASSPHRASE not in caplog.text
    assert PASSPHRASE not in answer.get_data(as_text=True)
    posts = [record for record in caplog.records if getattr(record, "fields", {}).get("method") == "POST"]
    assert {record.fields["endpoint"] for record in posts} >= {"backup.make", "backup.upload"}  # type: ignore[attr-defined]
    assert answer.headers["X-Request-Id"] == posts[-1].fields["request"]  # type: ignore[attr-defined]


def test_list_download_delete(app: Flask, staff: FlaskClient, csrf: str, state: StateDir) -> None:
    data = made(app, staff, csrf, "")
    assert b"trunk-secret-word" not in data
    page = staff.get("/staff/backup")
    assert "not in it" in text_of(page)
    (path,) = kept.folder(state).glob("*.zip")
    assert staff.get(f"/staff/backup/files/{path.name}", buffered=True).data == data
    for name in ("key", "..%2finventory.db", "provisioner-x-20200101-000000-hand.zip"):
        assert staff.get(f"/staff/backup/files/{name}").status_code == 404
    assert staff.post(f"/staff/backup/files/{path.name}/delete", data={"csrf": csrf}).status_code == 303
    assert not path.exists()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"passphrase": "correct horse", "again": "correct mule"}, "typed in two ways"),
        ({"passphrase": "short", "again": "short"}, "at least 8 characters"),
    ],
)
def test_passphrases_that_are_not_taken(
    staff: FlaskClient, csrf: str, form: dict[str, str], said: str
) -> None:
    answer = staff.post("/staff/backup", data={"csrf": csrf, **form})
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert "None yet" in text_of(answer)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"hello", "this is no backup"), (b"", "this is no backup"), (None, "no file was chosen")],
)
def test_uploads_that_are_no_backup(
    staff: FlaskClient, csrf: str, state: StateDir, data: bytes | None, said: str
) -> None:
    answer = (
        uploaded(staff, csrf, data)
        if data is not None
        else staff.post("/staff/backup/restore", data={"csrf": csrf})
    )
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert not list((state.root / "restores").glob("*"))


def test_truncated_upload(app: Flask, staff: FlaskClient, csrf: str, state: StateDir) -> None:
    data = made(app, staff, csrf)
    answer = uploaded(staff, csrf, data[: len(data) // 2])
    assert answer.status_code == 422
    assert "damaged or not whole" in text_of(answer)
    assert not list((state.root / "restores").glob("*"))


def test_damage_that_shows_when_it_is_opened(app: Flask, staff: FlaskClient, csrf: str) -> None:
    data = bytearray(made(app, staff, csrf))
    data[len(data) // 2] ^= 1
    answer = uploaded(staff, csrf, bytes(data))
    opened = staff.post(answer.location + "/open", data={"csrf": csrf, "passphrase": PASSPHRASE})
    assert opened.status_code == 422
    assert "damaged or not whole" in text_of(opened)


def test_full_disk(app: Flask, staff: FlaskClient, csrf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    data = made(app, staff, csrf, "")
    monkeypatch.setattr("provisioner.web.restores.archive.look", full)
    answer = uploaded(staff, csrf, data)
    assert answer.status_code == 422
    assert "No space left on device" in text_of(answer)
    monkeypatch.undo()
    monkeypatch.setattr("provisioner.keeping.archive.write", full)
    page = ended(app, staff, staff.post("/staff/backup", data={"csrf": csrf}))
    assert "No space left on device" in page
    assert "Nothing was changed" in page


def test_uploads_go_after_an_hour(app: Flask, staff: FlaskClient, csrf: str, state: StateDir) -> None:
    import os

    data = made(app, staff, csrf, "")
    first = uploaded(staff, csrf, data)
    folder = state.root / "restores" / first.location.rpartition("/")[2]
    os.utime(folder, (NOW - 4000, NOW - 4000))
    second = uploaded(staff, csrf, data)
    assert staff.get(first.location).status_code == 410
    assert staff.post(second.location + "/drop", data={"csrf": csrf}).status_code == 303
    assert staff.get(second.location).status_code == 410
    assert staff.get("/staff/backup/restore/..%2f..%2frun").status_code in (404, 410)


def test_plan(app: Flask, staff: FlaskClient, csrf: str, tmp_path: Path) -> None:
    form = {
        "csrf": csrf,
        "daily": "1",
        "at": "03:15",
        "keep": "5",
        "folder": str(tmp_path),
        "optional": "calls",
    }
    assert staff.post("/staff/backup/plan", data={**form, "passphrase": PASSPHRASE}).status_code == 303
    plan = kept.plan(inventory(app))
    assert (plan.daily, plan.at, plan.keep, plan.folder, plan.optional) == (
        True,
        "03:15",
        5,
        str(tmp_path),
        ("calls",),
    )
    page = staff.get("/staff/backup").get_data(as_text=True)
    assert "is set" in page
    assert PASSPHRASE not in page
    wrong = staff.post("/staff/backup/plan", data={**form, "at": "late", "folder": "/nowhere/here"})
    assert wrong.status_code == 422
    assert "written as 02:30" in text_of(wrong)
    assert "There is no such folder" in text_of(wrong)
    assert staff.post("/staff/backup/plan", data={**form, "open": "1"}).status_code == 303
    assert not kept.has_passphrase(inventory(app))


def test_a_failed_or_old_backup_is_on_the_overview(
    app: Flask, staff: FlaskClient, csrf: str, state: StateDir
) -> None:
    plan = kept.BackupPlan(id="backups", daily=True)
    kept.set_plan(inventory(app), plan, None, "ann")
    kept._tell_last(state, kept.Last(at=NOW, good=NOW - 9, error="the share is gone: mount it"))
    assert "The backup of each day failed: the share is gone" in text_of(staff.get("/staff/"))
    kept._tell_last(state, kept.Last(at=NOW - 3 * 86_400, good=NOW - 3 * 86_400))
    assert "The last backup is 3 days old" in text_of(staff.get("/staff/"))
    kept._tell_last(state, kept.Last(at=NOW, good=NOW - 60))
    with app.test_request_context():
        found = findings.findings(app.extensions["provisioner"].world(), [])
    assert found
    assert not [each for each in found if "ackup" in each.what]


def test_by_api(app: Flask, api: FlaskClient, edge: dict[str, Any], state: StateDir) -> None:
    jobs = app.extensions["provisioner.jobs"]
    begun = api.post("/api/v1/backups", json={"passphrase": PASSPHRASE, "optional": ["calls"]})
    assert begun.status_code == 202
    done = jobs.wait(begun.json["id"], 10)
    assert done.state == "done"
    (row,) = api.get("/api/v1/backups").json["items"]
    assert (row["name"], row["sealed"]) == (done.result["name"], True)
    as_served = {"wsgi.file_wrapper": ReadOnlyFileBasedBuffer}
    fetched = api.get(f"/api/v1/backups/{row['name']}", buffered=True, environ_overrides=as_served)
    assert fetched.status_code == 200
    data = fetched.data
    with inventory(app).change("test") as change:
        change.put(Practice(id="practice", name="Other", main_number="+14155550100"))
    up = api.post("/api/v1/restores", data=data, content_type="application/zip")
    assert up.status_code == 201
    assert up.json["practice"] == "Bay Street Clinic"
    here = f"/api/v1/restores/{up.json['id']}"
    assert api.post(f"{here}/preview", json={"passphrase": "wrong"}).status_code == 409
    assert api.post(here, json={"parts": ["inventory"], "practice": "Bay Street Clinic"}).status_code == 409
    found = api.post(f"{here}/preview", json={"passphrase": PASSPHRASE}).json
    assert {"part": "inventory", "kind": "practice", "added": 0, "changed": 1, "removed": 0} in found[
        "counts"
    ]
    assert {each["kind"] for each in found["warnings"]} == {"practice", "users"}
    assert api.post(here, json={"parts": ["inventory"], "practice": "wrong"}).status_code == 409
    work = api.post(here, json={"parts": ["inventory"], "practice": "Bay Street Clinic"})
    assert work.status_code == 202
    assert jobs.wait(work.json["id"], 10).state == "done"
    assert inventory(app).get(Practice, "practice")[0].name == "Bay Street Clinic"
    assert api.delete(f"/api/v1/backups/{row['name']}").status_code == 204
    assert api.post("/api/v1/backups", json={"optional": ["secrets"]}).status_code == 409
    assert api.post("/api/v1/restores", data=b"junk", content_type="application/zip").status_code == 409
    assert api.delete(here).status_code == 404
    plan = {"daily": True, "at": "04:00", "passphrase": PASSPHRASE}
    assert api.put("/api/v1/backups/plan", json=plan).json["sealed"] is True
    assert api.get("/api/v1/backups/plan").json["at"] == "04:00"
    refused = api.put("/api/v1/backups/plan", json={"daily": True, "at": "4"})
    assert refused.status_code == 422


def test_the_plan_is_carried_out_by_itself(
    app: Flask, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOOK_SECONDS", 0.01)
    kept.set_plan(inventory(app), kept.BackupPlan(id="backups", daily=True), None, "ann")
    jobs, stop = app.extensions["provisioner.jobs"], threading.Event()
    thread = threading.Thread(target=process._look_after, args=(app, stop))
    thread.start()
    try:
        until(jobs.all, "it has begun", 10)
        (job,) = jobs.all()
        assert jobs.wait(job.id, 10).state == "done"
    finally:
        stop.set()
        thread.join(10)
    assert (job.kind, job.who) == ("daily", "plan")
    assert len(list(kept.folder(state).glob("*-daily.zip"))) == 1
    assert kept.last(state) == kept.Last(at=NOW, good=NOW, name=job.result["name"])
