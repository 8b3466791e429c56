"""The page and API of what callers hear: listen, upload, go back; a bad file says what to do."""

from __future__ import annotations

import io
import math
import wave

from flask import Flask
from flask.testing import FlaskClient

from provisioner.media import prompts
from provisioner.store.records import Recording


def wav(seconds: float = 0.5) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        samples = (round(9000 * math.sin(n / 5)) for n in range(round(16000 * seconds)))
        file.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))
    return out.getvalue()


def upload(staff: FlaskClient, csrf: str, data: bytes, name: str = "music"):
    return staff.post(
        f"/staff/audio/{name}",
        data={"csrf": csrf, "recording": (io.BytesIO(data), "own.wav")},
        content_type="multipart/form-data",
    )


def test_all_prompts_are_listed_with_what_they_say(staff: FlaskClient):
    page = staff.get("/staff/audio").get_data(as_text=True)
    assert "Press 1 to transfer the call, or press 2 to return to the caller." in page
    assert "(music, while somebody waits)" in page
    for name in prompts.sentences():
        assert f'id="{name}"' in page


def test_a_recording_replaces_a_prompt_until_it_is_removed(app: Flask, staff: FlaskClient, csrf: str):
    assert upload(staff, csrf, wav()).status_code == 303
    assert "your own recording, 0.5 s" in staff.get("/staff/audio").get_data(as_text=True)
    with wave.open(io.BytesIO(staff.get("/staff/audio/music.wav").data)) as file:
        assert file.getnframes() == 4000
    inventory = app.extensions["provisioner"].inventory
    record, _ = inventory.get(Recording, "music")
    assert (record.seconds, len(record.digest)) == (0.5, 64)
    assert inventory.audit(1)[0].who == "console link"
    assert staff.post("/staff/audio/music", data={"csrf": csrf, "remove": "1"}).status_code == 303
    assert inventory.get(Recording, "music") is None
    with wave.open(io.BytesIO(staff.get("/staff/audio/music.wav").data)) as file:
        assert file.getnframes() == len(prompts.load("music"))


def test_what_cannot_be_used_is_told_in_words(staff: FlaskClient, csrf: str):
    answer = upload(staff, csrf, b"ID3 music")
    assert answer.status_code == 409
    assert "save it as wav" in answer.get_data(as_text=True).lower()
    assert staff.post("/staff/audio/music", data={"csrf": csrf}).status_code == 400
    assert upload(staff, csrf, wav(), "nothing").status_code == 404


def test_the_same_by_api(app: Flask, visitor: FlaskClient):
    token = app.extensions["provisioner"].inventory.new_token("api", 60, "administrator")
    bearer = {"Authorization": f"Bearer {token}"}
    put = visitor.put("/api/v1/recordings/menu", data=wav(), headers=bearer)
    assert (put.status_code, put.get_json()["seconds"]) == (200, 0.5)
    rows = visitor.get("/api/v1/recordings?limit=200", headers=bearer).get_json()["items"]
    assert [row["name"] for row in rows if row["own"]] == ["menu"]
    assert visitor.put("/api/v1/recordings/menu", data=b"junk", headers=bearer).status_code == 409
    assert visitor.delete("/api/v1/recordings/menu", headers=bearer).status_code == 204
    assert visitor.get("/api/v1/recordings/menu.wav", headers=bearer).mimetype == "audio/wav"
