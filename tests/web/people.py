"""Browsers of users, for the tests of who may do what."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient

from provisioner.people import users
from provisioner.store.inventory import Inventory
from provisioner.web import session

PASSWORD = "window onion tractor"


def store(app: Flask) -> Inventory:
    """The inventory of the application."""
    found: Inventory = app.extensions["provisioner"].inventory
    return found


def add(app: Flask, name: str, role: str) -> None:
    """A user with the usual password; hashing it once for all tests saves their time."""
    users.create(store(app), name, PASSWORD, role, "test", bench=Quick())


class Quick(users.Bench):
    """Remembers the hash of the usual password."""

    _kept: dict[str, str] = {}

    def hashed(self, password: str) -> str:
        if password not in self._kept:
            self._kept[password] = super().hashed(password)
        return self._kept[password]


def browser(app: Flask, name: str, role: str = "") -> FlaskClient:
    """A browser in which a user (made for it when there is a `role`) is signed in, without the password's price."""
    if role:
        add(app, name, role)
    client = app.test_client()
    token = store(app).new_token("session", session.SESSION_SECONDS, "viewer", user=name)
    client.set_cookie("provisioner", token)
    return client


def csrf(client: FlaskClient) -> str:
    """The token of this browser's forms."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/staff/account").text)
    assert found
    return found[1]


def program(app: Flask, role: str, **about: str) -> FlaskClient:
    """A program with an API token."""
    client = app.test_client()
    token = store(app).new_token("api", 600, role, **about)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client
