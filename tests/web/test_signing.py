"""Signing in by name and password, with and without a second factor, and what many tries lead to."""

from __future__ import annotations

import base64

import pytest
import web_practice as practice
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from provisioner.people import users
from provisioner.people.passwords import Bench, Busy
from provisioner.store.inventory import Inventory
from provisioner.store.records import User
from provisioner.web import session, signing

GOOD = "window onion tractor"
KEY = base64.b32encode(b"12345678901234567890").decode()


class Clock:
    """The time of the application under test."""

    now = practice.NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(app: Flask, inventory: Inventory) -> Clock:
    it = Clock()
    app.extensions["provisioner"].now = it
    inventory._clock = inventory.tokens._clock = it
    return it


@pytest.fixture
def anna(inventory: Inventory) -> User:
    return users.create(inventory, "anna", GOOD, "operator", "test")


def sign_in(client: FlaskClient, name: str = "anna", password: str = GOOD, **more: object) -> TestResponse:
    form = {"name": name, "password": password, "next": more.pop("onward", "")}
    return client.post("/staff/sign-in", data=form, **more)


def signed_in(client: FlaskClient) -> bool:
    return client.get("/staff/session").status_code == 204


def trail(inventory: Inventory) -> list[tuple[str, str, str]]:
    rows = [row for row in inventory.audit(100) if row.kind == "sign_in"]
    return [(row.who, row.id, row.after) for row in rows]


def code(now: float) -> str:
    return TOTP(base64.b32decode(KEY), 6, SHA1(), 30).generate(int(now)).decode()


def test_by_name_and_password(visitor: FlaskClient, anna: User, inventory: Inventory):
    answer = sign_in(visitor, " ANNA ")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/staff/")
    assert signed_in(visitor)
    who = inventory.tokens.listing("session", "anna")
    assert [(each.user, each.address) for each in who] == [("anna", "127.0.0.1")]
    assert trail(inventory) == [("anna", "anna", '{"result":"signed in","address":"127.0.0.1"}')]


def test_the_form_is_there_only_with_users(visitor: FlaskClient, inventory: Inventory):
    assert 'name="password"' not in visitor.get("/staff/sign-in").text
    users.create(inventory, "anna", GOOD, "administrator", "test")
    page = visitor.get("/staff/sign-in").text
    assert 'name="password"' in page
    assert "provisioner sign-in" in page


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong"), ("nobody", GOOD), ("", ""), ("anna", "")])
def test_what_is_wrong_is_not_told(
    visitor: FlaskClient, anna: User, inventory: Inventory, name: str, password: str
):
    answer = sign_in(visitor, name, password)
    assert answer.status_code == 401
    assert "Name or password is wrong" in answer.text
    assert not signed_in(visitor)
    assert "wrong name or password" in trail(inventory)[0][2]
    assert 'password":' not in trail(inventory)[0][2]


def test_for_a_name_that_nobody_has_a_hash_is_compared_too(
    visitor: FlaskClient, anna: User, monkeypatch: pytest.MonkeyPatch
):
    asked = []
    monkeypatch.setattr(Bench, "same", lambda _self, kept, typed: asked.append((bool(kept), typed)) and False)
    sign_in(visitor, "anna", "one")
    sign_in(visitor, "nobody", "two")
    assert asked == [(True, "one"), (False, "two")]


def test_who_is_disabled_does_not_get_in_and_is_out_at_once(app: Flask, anna: User, inventory: Inventory):
    inside, outside = app.test_client(), app.test_client()
    sign_in(inside)
    users.create(inventory, "bert", GOOD, "administrator", "test")
    users.edit(inventory, "anna", "bert", {"disabled": True})
    assert not signed_in(inside)
    answer = sign_in(outside)
    assert answer.status_code == 401
    assert "Name or password is wrong" in answer.text


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/staff/phones?q=1", "/staff/phones?q=1"),
        ("", "/staff/"),
        ("//evil.example/", "/staff/"),
        ("https://evil.example/staff/", "/staff/"),
        ("/staff/\\evil", "/staff/"),
        ("/staff/sign-out", "/staff/"),
        ("/api/v1/phones", "/staff/"),
    ],
)
def test_it_leads_to_the_page_that_was_asked_for(visitor: FlaskClient, anna: User, wanted: str, goes: str):
    assert sign_in(visitor, onward=wanted).headers["Location"] == goes


def test_the_page_that_asks_to_sign_in_knows_where_to_go(visitor: FlaskClient, anna: User):
    assert 'name="next" value="/staff/calls?q=x"' in visitor.get("/staff/calls?q=x").text


def test_the_session_is_another_after_signing_in(visitor: FlaskClient, anna: User):
    sign_in(visitor)
    first = visitor.get_cookie("provisioner").value
    sign_in(visitor)
    second = visitor.get_cookie("provisioner").value
    assert first != second
    visitor.set_cookie("provisioner", first)
    assert not signed_in(visitor)


@pytest.mark.parametrize(
    ("waits", "stays"), [([7000.0] * 6, True), ([7300.0], False), ([7000.0] * 6 + [1300.0], False)]
)
def test_idle_and_absolute_limits(
    visitor: FlaskClient, anna: User, clock: Clock, waits: list[float], stays: bool
):
    sign_in(visitor)
    for wait in waits:
        clock.now += wait
        last = visitor.get("/staff/account").status_code == 200
    assert last is stays
    assert session.SESSION_SECONDS == 43_200


def test_a_page_left_open_does_not_keep_the_session(visitor: FlaskClient, anna: User, clock: Clock):
    sign_in(visitor)
    for _ in range(7):
        clock.now += 1000
        assert visitor.get("/staff/account", headers={"HX-Request": "true"}).status_code == 200
        assert signed_in(visitor)  # as the front asks about the page's event stream
    clock.now += 1000
    assert visitor.get("/staff/account", headers={"HX-Request": "true"}).status_code == 401
    assert not signed_in(visitor)


def test_a_restart_forgets_no_wrong_try(app: Flask, anna: User, clock: Clock):
    for _ in range(5):
        sign_in(app.test_client(), password="wrong")
    restarted(app)
    assert sign_in(app.test_client()).status_code == 429


def restarted(app: Flask) -> None:
    """The web process begins again: what it knows is in the state directory."""
    del app.extensions["provisioner.gate"]


def test_many_wrong_tries_wait_longer_and_longer(app: Flask, anna: User, clock: Clock, inventory: Inventory):
    client = app.test_client()
    said = [sign_in(client, password="wrong").status_code for _ in range(6)]
    assert said == [401] * 5 + [429]
    answer = sign_in(client)  # the right one, too early
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert "Try again in 2 seconds" in answer.text
    assert "provisioner sign-in" in answer.text
    assert "too many wrong tries" in trail(inventory)[0][2]
    clock.now += 2
    assert sign_in(client).status_code == 303


def test_an_owner_gets_in_whatever_others_try(app: Flask, anna: User, clock: Clock):
    browser, elsewhere = app.test_client(), app.test_client()
    sign_in(browser)
    for n in range(60):
        address = {"REMOTE_ADDR": f"203.0.113.{n % 4}"}
        sign_in(app.test_client(), password="wrong", environ_base=address)
    for _ in range(30):
        sign_in(app.test_client(), password="wrong")  # from the owner's own address
    assert sign_in(elsewhere, environ_base={"REMOTE_ADDR": "192.168.1.9"}).status_code == 303
    assert sign_in(app.test_client()).status_code == 429
    assert sign_in(browser).status_code == 303  # it is known
    token = app.extensions["provisioner"].inventory.new_token("sign-in", 60, "administrator")
    assert app.test_client().get(f"/staff/sign-in/{token}").status_code == 303


def test_a_browser_is_known_to_who_signed_in_with_it_only(
    app: Flask, anna: User, inventory: Inventory, clock: Clock
):
    users.create(inventory, "bert", GOOD, "viewer", "test")
    browser = app.test_client()
    sign_in(browser)
    assert [sign_in(browser, "bert", "wrong").status_code for _ in range(6)] == [401] * 5 + [429]
    clock.now += 2
    assert sign_in(browser, "bert").status_code == 303
    for name in ("anna", "bert"):
        assert [sign_in(browser, name, "wrong").status_code for _ in range(7)] == [401] * 7


@pytest.mark.parametrize("forged", ["", "x", "a.b", "a." + "0" * 32, ".", "ü.ü", ".".join("abcdefgh")])
def test_a_forged_cookie_makes_no_browser_known(app: Flask, anna: User, clock: Clock, forged: str):
    client = app.test_client()
    client.set_cookie("provisioner-device", forged)
    assert [sign_in(client, password="wrong").status_code for _ in range(6)] == [401] * 5 + [429]


def test_strangers_tries_do_not_fill_the_audit_log(
    app: Flask, anna: User, inventory: Inventory, clock: Clock
):
    for n in range(80):
        sign_in(app.test_client(), f"user{n}", "wrong", environ_base={"REMOTE_ADDR": f"10.0.0.{n}"})
    rows = trail(inventory)
    assert len(rows) == signing.MAX_NOTED + 1
    assert "many more" in rows[0][2]


def test_when_many_passwords_are_tried_at_once_it_says_so(
    visitor: FlaskClient, anna: User, monkeypatch: pytest.MonkeyPatch
):
    def busy(*_: object) -> bool:
        raise Busy

    with monkeypatch.context() as patch:
        patch.setattr(Bench, "same", busy)
        answers = [sign_in(visitor) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {503}
    assert "Many people sign in" in answers[0].text
    assert sign_in(visitor).status_code == 303  # none of them counted


# the second factor


@pytest.fixture
def codes(inventory: Inventory, anna: User, clock: Clock) -> list[str]:
    return users.begin_second_factor(inventory, "anna", KEY, code(clock.now), clock.now, "anna")


def half(answer: TestResponse) -> str:
    return answer.text.partition('name="half" value="')[2].partition('"')[0]


def second(client: FlaskClient, token: str, typed: str) -> TestResponse:
    return client.post("/staff/sign-in/code", data={"half": token, "code": typed, "next": "/staff/phones"})


def test_a_code_is_good_once_also_after_a_restart(app: Flask, codes: list[str], clock: Clock):
    good = code(clock.now + 30)
    assert second(app.test_client(), half(sign_in(app.test_client())), good).status_code == 303
    restarted(app)
    assert second(app.test_client(), half(sign_in(app.test_client())), good).status_code == 401


def test_a_clock_that_went_back_keeps_no_second_factor_from_working(
    app: Flask, codes: list[str], clock: Clock
):
    assert (
        second(app.test_client(), half(sign_in(app.test_client())), code(clock.now + 30)).status_code == 303
    )
    clock.now -= 86_400
    answer = second(app.test_client(), half(sign_in(app.test_client())), code(clock.now))
    assert answer.status_code == 303


def test_with_a_second_factor_the_password_alone_is_not_enough(
    visitor: FlaskClient, codes: list[str], clock: Clock
):
    answer = sign_in(visitor)
    assert answer.status_code == 200
    assert not signed_in(visitor)
    good = second(visitor, half(answer), code(clock.now + 30))
    assert (good.status_code, good.headers["Location"]) == (303, "/staff/phones")
    assert signed_in(visitor)


def test_a_code_is_good_once_and_so_is_the_half_way(app: Flask, codes: list[str], clock: Clock):
    first, other = app.test_client(), app.test_client()
    token, another = half(sign_in(first)), half(sign_in(other))
    assert second(first, token, code(clock.now)).status_code == 303
    assert second(other, token, code(clock.now + 30)).status_code == 401
    assert second(other, another, code(clock.now)).status_code == 401
    clock.now += 30
    assert second(other, another, code(clock.now)).status_code == 303


def test_a_wrong_code_may_be_tried_again_but_not_for_ever(
    visitor: FlaskClient, codes: list[str], clock: Clock
):
    token = half(sign_in(visitor))
    said = [second(visitor, token, "000000").status_code for _ in range(5)]
    assert said == [401] * 4 + [429]
    clock.now += 301
    assert second(visitor, token, code(clock.now)).status_code == 401


def test_a_recovery_code_is_good_once(app: Flask, codes: list[str], clock: Clock):
    first, other = app.test_client(), app.test_client()
    assert second(first, half(sign_in(first)), codes[0].upper()).status_code == 303
    assert second(other, half(sign_in(other)), codes[0]).status_code == 401


def test_neither_half_nor_code_is_a_session(visitor: FlaskClient, codes: list[str]):
    visitor.set_cookie("provisioner", half(sign_in(visitor)))
    assert not signed_in(visitor)


# requests that other sites ask for


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Origin": "http://localhost"}, 303),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_another_sites_page_signs_nobody_in(
    visitor: FlaskClient, anna: User, headers: dict[str, str], status: int
):
    assert sign_in(visitor, headers=headers).status_code == status


def test_over_https_only_the_bound_cookie_counts(app: Flask, anna: User):
    plain, secure = app.test_client(), app.test_client()
    sign_in(plain)
    secure.set_cookie("provisioner", plain.get_cookie("provisioner").value)
    assert secure.get("/staff/session", base_url="https://localhost").status_code == 401
    answer = sign_in(secure, base_url="https://localhost")
    assert {line.partition("=")[0] for line in answer.headers.getlist("Set-Cookie")} == {
        "__Host-provisioner",
        "__Host-provisioner-device",
    }
