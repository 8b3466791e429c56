"""Users and one's own account, on the pages and by API."""

from __future__ import annotations

import re

import people
import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import etree

from provisioner.people import users
from provisioner.people.second_factor import _totp
from provisioner.store.inventory import Inventory
from provisioner.store.records import User

OTHER = "a quite different one"


@pytest.fixture
def bert(app: Flask, anna: FlaskClient) -> FlaskClient:
    return people.browser(app, "bert", "operator")


def post(client: FlaskClient, path: str, **form: str):
    return client.post(path, data={"csrf": people.csrf(client), **form})


def get_user(inventory: Inventory, name: str) -> User | None:
    return users.find(inventory, name)


def test_the_first_user_is_offered_to_be_an_administrator(staff: FlaskClient, inventory: Inventory):
    assert "the only way in is a link" in staff.get("/staff/users").text
    page = staff.get("/staff/users/new").text
    assert 'value="administrator" checked' in page
    answer = post(staff, "/staff/users/new", id="Anna", name="Anna L.", role="administrator",
                  language="es", password=people.PASSWORD, again=people.PASSWORD)  # fmt: skip
    assert answer.headers["Location"] == "/staff/users/anna?made=1"
    assert get_user(inventory, "anna") == User(id="anna", role="administrator", name="Anna L.", language="es")
    assert inventory.audit(1)[0].who == "console link"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"id": "anna"}, "There is a user anna already"),
        ({"id": "New"}, "or a page is called so"),
        ({"id": "", "password": "short", "again": "short"}, "begins with a letter or digit"),
        ({"password": "short", "again": "short"}, "5 characters"),
        ({"again": "otherwise"}, "not the same"),
        ({"role": "boss"}, "The role is one of"),
    ],
)
def test_what_is_wrong_stands_by_its_field(
    anna: FlaskClient, inventory: Inventory, form: dict[str, str], said: str
):
    good = {"id": "carl", "role": "viewer", "password": people.PASSWORD, "again": people.PASSWORD}
    answer = post(anna, "/staff/users/new", **{**good, **form})
    assert answer.status_code == 422
    assert said in answer.text
    assert people.PASSWORD not in answer.text
    assert [user.id for user in inventory.all(User)] == ["anna"]


def test_a_user_is_changed(anna: FlaskClient, bert: FlaskClient, inventory: Inventory):
    page = anna.get("/staff/users/bert").text
    revision = re.search(r'name="revision" value="(\d+)"', page)[1]
    form = {"role": "viewer", "name": "Bert B.", "language": "browser", "revision": revision}
    assert post(anna, "/staff/users/bert", **form).status_code == 303
    assert get_user(inventory, "bert").role == "viewer"
    assert bert.get("/staff/session").status_code == 401  # another role: signed out
    late = post(anna, "/staff/users/bert", **{**form, "name": "late"})
    assert late.status_code == 409
    assert "Somebody changed this user meanwhile" in late.text
    disabled = post(anna, "/staff/users/bert", role="viewer", language="browser", disabled="1")
    assert disabled.status_code == 303
    assert "may not sign in" in anna.get("/staff/users").text


def test_the_last_administrator_stays(anna: FlaskClient, bert: FlaskClient):
    answer = post(anna, "/staff/users/anna", role="viewer", language="browser")
    assert answer.status_code == 409
    assert "nobody would be left" in answer.text
    assert post(anna, "/staff/users/anna/remove").status_code == 409


def test_a_user_is_removed_with_tokens(anna: FlaskClient, bert: FlaskClient, inventory: Inventory):
    inventory.new_token("api", 600, "viewer", user="bert", name="grafana")
    assert "grafana" in anna.get("/staff/users/bert/remove").text
    assert post(anna, "/staff/users/bert/remove").headers["Location"] == "/staff/users?gone=bert"
    assert get_user(inventory, "bert") is None
    assert inventory.tokens.listing("api", "bert") == []
    assert anna.get("/staff/users/bert").status_code == 404


def test_an_administrator_gives_another_password_and_ends_sessions(
    app: Flask, anna: FlaskClient, bert: FlaskClient, inventory: Inventory
):
    assert post(anna, "/staff/users/bert/password", password=OTHER, again=OTHER).status_code == 303
    assert bert.get("/staff/session").status_code == 401
    again = people.browser(app, "bert")
    assert post(anna, "/staff/users/bert/sessions/end").status_code == 303
    assert again.get("/staff/session").status_code == 401
    assert anna.get("/staff/session").status_code == 204
    assert '"ended":"all"' in inventory.audit(1)[0].after


# one's own account


def test_a_changed_password_ends_the_other_sessions(app: Flask, bert: FlaskClient):
    other = people.browser(app, "bert")
    wrong = post(bert, "/staff/account/password", current="wrong", password=OTHER, again=OTHER)
    assert wrong.status_code == 422
    assert "not your password" in wrong.text
    good = post(bert, "/staff/account/password", current=people.PASSWORD, password=OTHER, again=OTHER)
    assert good.status_code == 303
    assert [client.get("/staff/session").status_code for client in (bert, other)] == [204, 401]


def test_passwords_are_not_guessed_in_an_open_session(bert: FlaskClient):
    said = [
        post(bert, "/staff/account/password", current="wrong", password=OTHER, again=OTHER).status_code
        for _ in range(6)
    ]
    assert said == [422] * 5 + [429]


def test_the_second_factor_begins_with_its_picture_and_ends(
    app: Flask, bert: FlaskClient, inventory: Inventory
):
    page = bert.get("/staff/account/second-factor").text
    key = re.search(r"<code class=\"wrap\">([A-Z2-7 ]+)</code>", page)[1].replace(" ", "")
    picture = bert.get("/staff/account/second-factor.svg")
    assert picture.mimetype == "image/svg+xml"
    assert etree.fromstring(picture.data).tag.endswith("svg")
    now = app.extensions["provisioner"].now()
    code = _totp(key).generate(int(now)).decode()
    wrong = post(bert, "/staff/account/second-factor", code="000000", current=people.PASSWORD)
    assert wrong.status_code == 422
    good = post(bert, "/staff/account/second-factor", code=code, current=people.PASSWORD)
    assert len(re.findall(r"<li><code>[0-9a-z]{5}-[0-9a-z]{5}</code>", good.text)) == 10
    assert get_user(inventory, "bert").second_factor
    assert bert.get("/staff/session").status_code == 204  # the session that did it stays
    assert post(bert, "/staff/account/second-factor/off", current="wrong").status_code == 422
    assert post(bert, "/staff/account/second-factor/off", current=people.PASSWORD).status_code == 303
    assert not get_user(inventory, "bert").second_factor
    assert key not in bert.get("/staff/account/second-factor").text  # the next is another


def test_a_lost_phone_is_mended_by_an_administrator(
    app: Flask, anna: FlaskClient, bert: FlaskClient, inventory
):
    key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    users.begin_second_factor(inventory, "bert", key, "005924", 1234567890, "bert")
    assert post(anna, "/staff/users/bert/second-factor/off").status_code == 303
    assert users.secret(inventory, "bert").totp == ""


def test_ones_sessions_are_listed_and_ended(app: Flask, bert: FlaskClient, inventory: Inventory):
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0"
    token = inventory.new_token("session", 600, "viewer", user="bert", agent=agent, address="192.168.1.9")
    page = bert.get("/staff/account").text
    assert "Firefox, Windows" in page
    assert "this one" in page
    number = inventory.tokens.check("session", token).id
    assert post(bert, f"/staff/account/sessions/{number}/end").status_code == 303
    assert inventory.check_token("session", token) is None


def test_somebody_elses_session_is_not_ended(
    app: Flask, anna: FlaskClient, bert: FlaskClient, inventory: Inventory
):
    number = inventory.tokens.listing("session", "anna")[0].id
    post(bert, f"/staff/account/sessions/{number}/end")
    assert anna.get("/staff/session").status_code == 204


def test_who_came_by_a_link_has_no_account(staff: FlaskClient):
    assert "link from the console" in staff.get("/staff/account").text
    assert staff.get("/staff/account/second-factor").status_code == 403


def test_the_language_of_a_user(anna: FlaskClient, inventory: Inventory):
    assert post(anna, "/staff/account", name="Anna", language="es").status_code == 303
    assert '<html lang="es">' in anna.get("/staff/account").text
    anna.post("/staff/language", data={"csrf": people.csrf(anna), "language": "en"})
    assert '<html lang="en">' in anna.get("/staff/account").text


# API


def test_users_by_api(app: Flask):
    api = people.program(app, "administrator", name="tool")
    made = api.post(
        "/api/v1/users", json={"id": "Carl", "password": people.PASSWORD, "role": "administrator"}
    )
    assert (made.status_code, made.json["id"]) == (201, "carl")
    assert "password" not in made.text
    refused = api.post("/api/v1/users", json={"id": "carl", "password": "x", "role": "viewer"})
    assert refused.status_code == 422
    assert "a user carl already" in refused.json["detail"]
    held = api.get("/api/v1/users/carl")
    etag = held.headers["ETag"]
    changed = api.patch("/api/v1/users/carl", json={"name": "Carl C."}, headers={"If-Match": etag})
    assert changed.json["name"] == "Carl C."
    stale = api.patch("/api/v1/users/carl", json={"name": "D."}, headers={"If-Match": etag})
    assert stale.status_code == 412
    assert [user["id"] for user in api.get("/api/v1/users").json["items"]] == ["carl"]
    assert api.put("/api/v1/users/carl/password", json={"password": OTHER}).status_code == 204
    assert api.put("/api/v1/users/carl/password", json={"password": "short"}).status_code == 422
    people.browser(app, "carl")
    assert len(api.get("/api/v1/users/carl/sessions").json["items"]) == 1
    assert api.delete("/api/v1/users/carl/sessions").status_code == 204
    assert api.delete("/api/v1/users/carl/second-factor").status_code == 204
    assert api.delete("/api/v1/users/carl").status_code == 204
    assert api.get("/api/v1/users/carl").status_code == 404
    assert people.store(app).audit(1)[0].who == "token tool"


def test_who_asks_is_told(app: Flask, bert: FlaskClient):
    api = people.program(app, "operator", name="tool", scopes="phones:read status:read", user="bert")
    told = api.get("/api/v1/account").json
    assert told == {
        "who": "token tool",
        "role": "operator",
        "user": None,
        "scopes": ["phones:read", "status:read"],
    }
    mine = bert.get("/api/v1/account").json
    assert (mine["who"], mine["user"]["id"]) == ("bert", "bert")
    assert api.put("/api/v1/account/password", json={"current": "x", "password": OTHER}).status_code == 403


def test_ones_account_by_api(app: Flask, bert: FlaskClient):
    token = {"X-CSRF-Token": people.csrf(bert)}
    changed = bert.patch("/api/v1/account", json={"name": "Bert"}, headers=token)
    assert changed.json["name"] == "Bert"
    offer = bert.get("/api/v1/account/second-factor").json
    code = _totp(offer["key"]).generate(int(app.extensions["provisioner"].now())).decode()
    body = {"current": people.PASSWORD, "code": code}
    assert len(bert.post("/api/v1/account/second-factor", json=body, headers=token).json["codes"]) == 10
    body = {"current": people.PASSWORD, "password": OTHER}
    assert bert.put("/api/v1/account/password", json=body, headers=token).status_code == 204
    number = bert.get("/api/v1/account/sessions").json["items"][0]["number"]
    assert bert.delete(f"/api/v1/account/sessions/{number}", headers=token).status_code == 204
    assert bert.get("/api/v1/account").status_code == 401
