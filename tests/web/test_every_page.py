"""Every page: nothing that axe-core objects to in either theme, no sideways scrolling, and whole without script."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import every_page
import pytest
from axe_playwright_python.sync_playwright import Axe
from every_page import House
from flask.testing import FlaskClient
from lxml import html
from test_browser import FLAGS, Front
from werkzeug.exceptions import HTTPException

WIDTHS = (1280, 390, 320)  # px; 320 is 1280 at a zoom of 400 % (WCAG 1.4.10)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = """async (rules) => {
  const found = await axe.run(document, {runOnly: rules, resultTypes: ["violations"]});
  return found.violations.flatMap((rule) => rule.nodes.map(
    (node) => `${rule.id}: ${node.html.slice(0, 200)} (${node.any.concat(node.all).map((one) => one.message)[0]})`));
}"""
WIDER = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const edge = root.clientWidth + 1;
  return [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > edge).slice(-3)
    .map((one) => one.outerHTML.slice(0, 160));
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with every_page.house(Path(tmp_path_factory.mktemp("house")) / "state") as made:
        yield made


@pytest.fixture
def staff(house: House) -> FlaskClient:
    return house.browser()


def test_every_page_is_walked(house: House):
    assert every_page.missing(house.app) == set()


def test_every_page_is_there(house: House, staff: FlaskClient):
    answers = {path: staff.get(path).status_code for path in house.paths()}
    assert {path: status for path, status in answers.items() if status != 200} == {}


# in a browser


@pytest.fixture(scope="module")
def page(house: House) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    front = Front(house.app)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        context = browser.new_context(reduced_motion="reduce")
        token = house.browser().get_cookie("provisioner")
        context.add_cookies([{"name": "provisioner", "value": token.value, "url": front.url}])
        opened = context.new_page()
        opened.origin = front.url
        yield opened
        browser.close()
    front.close()


def problems(page: Any, path: str) -> list[str]:
    """All that is wrong with a page, in both themes and at all widths."""
    found = []
    for theme, width in (("light", WIDTHS[0]), ("dark", WIDTHS[1])):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 800})
        if theme == "light":
            page.goto(page.origin + path)
            page.evaluate(Axe().axe_script)
        found += [f"{theme}, {width} px: {each}" for each in page.evaluate(LOOKS, RULES)]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        found += [f"wider than {width} px: {each}" for each in page.evaluate(WIDER)]
    return found


@pytest.mark.peer("chromium")
def test_nothing_to_object_to_on_any_page(house: House, page: Any):
    paths = [*house.paths(), *(f"/staff{path}" for found in every_page.NO_SESSION.values() for path in found)]
    found = {path: problems(page, path) for path in paths}
    wrong = json.dumps({path: list for path, list in found.items() if list}, indent=1)
    assert wrong == "{}", wrong


# without script


def parsed(staff: FlaskClient, path: str) -> Any:
    return html.fromstring(staff.get(path).get_data())


def test_no_button_needs_a_script(house: House, staff: FlaskClient):
    for path in house.paths():
        for button in parsed(staff, path).iter("button"):
            hidden = "hidden" in button.attrib or button.get("type") == "button"
            inside = next(button.iterancestors("form"), None) is not None or button.get("form")
            assert inside or "hidden" in button.attrib, (path, html.tostring(button))
            assert not hidden or "hidden" in button.attrib, (path, html.tostring(button))


def test_what_a_script_fetches_a_link_or_form_fetches_too(house: House, staff: FlaskClient):
    for path in house.paths():
        for each in parsed(staff, path).xpath("//*[@hx-get or @hx-post]"):
            plain = each.get("href") or each.get("action") or each.get("id") or each.get("hx-trigger")
            assert plain, (path, html.tostring(each)[:200])


def forms(house: House, staff: FlaskClient) -> Iterator[tuple[str, str, str, dict[str, list[str]]]]:
    """(page, method, action, values as they stand) of every form with each of its buttons."""
    for path in house.paths():
        tree = parsed(staff, path)
        for form in tree.iter("form"):
            values: dict[str, list[str]] = {}
            for name, value in form.form_values():
                values.setdefault(name, []).append(value)
            yield path, form.method, form.get("action") or path.partition("?")[0], values


def test_every_form_leads_somewhere_by_its_own_method(house: House, staff: FlaskClient):
    routes = house.app.url_map.bind("localhost")
    for path, method, action, values in forms(house, staff):
        try:
            routes.match(action.partition("?")[0], method)
        except HTTPException as error:
            pytest.fail(f"{path}: {method} {action}: {error}")
        assert method == "GET" or "csrf" in values, (path, action)


def test_forms_with_nothing_changed_are_answered(house: House, staff: FlaskClient):
    """Last of all: some of them take things away."""
    wrong = {}
    sent = set()
    for path, method, action, values in list(forms(house, staff)):
        if (method, action) in sent or action.startswith(("/staff/sign-out", "/staff/trunks")):
            continue
        sent.add((method, action))
        answer = staff.open(action, method=method, data=values if method == "POST" else None)
        if (answer.status_code >= 500 and answer.status_code != 503) or answer.status_code in (403, 405, 415):
            wrong[path, action] = answer.status_code
    assert wrong == {}
    assert len(sent) > 20
