"""An application with a practice, who signs in to it, the processes that it asks, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import people
import pytest
import web_practice as practice
from browser import Front, chromium
from flask import Flask
from flask.testing import FlaskClient

from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.web.app import create_app


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir.create(tmp_path / "state")
    practice.fill_inventory(state.inventory)
    practice.fill_journal(state.journal)
    return state


@pytest.fixture
def app(state: StateDir) -> Iterator[Flask]:
    app = create_app(state, now=lambda: practice.NOW, patience=0.2)
    yield app
    app.extensions["provisioner"].close()


@pytest.fixture
def inventory(app: Flask) -> Inventory:
    """What the application keeps."""
    return people.store(app)


@pytest.fixture
def anna(app: Flask) -> FlaskClient:
    """A browser of an administrator with a name."""
    return people.browser(app, "anna", "administrator")


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    """A browser without a session."""
    return app.test_client()


@pytest.fixture
def staff(app: Flask) -> FlaskClient:
    """A browser that is signed in."""
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token("sign-in", 60, "administrator")
    assert client.get(f"/staff/sign-in/{token}").status_code == 303
    return client


@pytest.fixture
def edge(state: StateDir) -> Iterator[dict[str, Any]]:
    """The edge answers; change what it says through the dict that is given."""
    said: dict[str, Any] = {"status": practice.status(), "reloads": 0}

    def reload(_args: dict[str, Any]) -> dict[str, Any]:
        said["reloads"] += 1
        return {"revision": 2}

    methods = {
        "status": lambda _: said["status"],
        "ping": lambda _: {"pid": 1, "uptime": 1.0},
        "reload": reload,
    }
    process = practice.Process(state, "edge", methods)
    yield said
    process.close()


@pytest.fixture
def front(state: StateDir) -> Iterator[None]:
    """The front answers."""
    methods = {"status": lambda _: {"revision": 1, "requests": 2}, "reload": lambda _: {"revision": 2}}
    process = practice.Process(state, "front", methods)
    yield
    process.close()


@pytest.fixture
def csrf(staff: FlaskClient) -> str:
    page = staff.get("/staff/phones").get_data(as_text=True)
    return page.partition('name="csrf" value="')[2].partition('"')[0]


@pytest.fixture
def told_front(state: StateDir) -> Iterator[None]:
    """A front that explains phones from the inventory as it is when asked."""
    process = practice.Process(state, "front", practice.front_methods(state))
    yield
    process.close()


@pytest.fixture
def api(app: Flask) -> FlaskClient:
    """A program with an API token."""
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token("api", 60, "administrator")
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for the tests that are marked as its peers."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def live(app: Flask) -> Iterator[Front]:
    """The application at a port, with the stream of events that the front serves."""
    front = Front(app)
    yield front
    front.close()
