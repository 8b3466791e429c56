"""Every page: nothing that axe-core objects to in either theme, no sideways scrolling, and whole without script."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import every_page
import pytest
import web_practice as practice
from axe_playwright_python.sync_playwright import Axe
from browser import Front
from every_page import House
from flask.testing import FlaskClient
from lxml import html
from werkzeug.exceptions import HTTPException

WIDTHS = (1280, 961, 390, 320)  # px; below 961 rows are cards; 320 is 1280 at a zoom of 400 % (WCAG 1.4.10)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SEEN = {
    "type": "rule",
    "values": ["color-contrast", "target-size"],
}  # what a width or a theme alone can change
LOOKS = """async (rules) => {
  const found = await axe.run(document, {runOnly: rules, resultTypes: ["violations"]});
  return found.violations.flatMap((rule) => rule.nodes.map(
    (node) => `${rule.id}: ${node.html.slice(0, 200)} (${node.any.concat(node.all).map((one) => one.message)[0]})`));
}"""
WIDER = """() => {
  const root = document.documentElement, edge = root.clientWidth + 1;
  const right = (one) => one.getBoundingClientRect().right;
  const beyond = root.scrollWidth <= root.clientWidth ? []
    : [...document.querySelectorAll("body *")].filter((one) => right(one) > edge).slice(-3);
  const tables = [...document.querySelectorAll("section > table, section > form > table, .panel > table")]
    .filter((one) => right(one) > right(one.closest("section, .panel")) + 1);
  return [...beyond, ...tables].map((one) => one.outerHTML.slice(0, 160));
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
def page(house: House, browser: Any) -> Iterator[Any]:
    front = Front(house.app)
    context = browser.new_context(reduced_motion="reduce")
    token = house.browser().get_cookie("provisioner")
    context.add_cookies([{"name": "provisioner", "value": token.value, "url": front.url}])
    opened = context.new_page()
    opened.origin = front.url
    yield opened
    context.close()
    front.close()


def problems(page: Any, path: str) -> list[str]:
    """All that is wrong with a page, in both themes and languages and at all widths."""
    found = []
    for language, first, second in (("en", "light", "dark"), ("es", "dark", "light")):
        width = 390 if language == "es" else 1280
        page.context.add_cookies([{"name": "language", "value": language, "url": page.origin}])
        page.emulate_media(color_scheme=first)
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(page.origin + path)
        page.evaluate(Axe().axe_script)
        found += [f"{first}, {width} px: {each}" for each in page.evaluate(LOOKS, RULES)]
        page.emulate_media(color_scheme=second)
        found += [f"{second}, {width} px: {each}" for each in page.evaluate(LOOKS, SEEN)]
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            found += [f"{language}, wider than {width} px: {each}" for each in page.evaluate(WIDER)]
    page.context.clear_cookies(name="language")
    return found


def all_problems(page: Any, paths: list[str]) -> str:
    """What is wrong with each page, as text; empty when nothing is."""
    found = {path: problems(page, path) for path in paths}
    return "\n".join(f"{path}: {each}" for path, list in found.items() for each in list)


@pytest.mark.peer("chromium")
def test_nothing_to_object_to_on_any_page(house: House, page: Any):
    wrong = all_problems(page, house.paths())
    assert wrong == "", wrong


@pytest.mark.peer("chromium")
def test_nor_while_an_emergency_goes_on(house: House, page: Any):
    calls = house.status["calls"]
    house.status["calls"] = [practice.call(direction="emergency", state="talking", to="911", desk="102")]
    page.goto(f"{page.origin}/staff/")
    assert page.get_by_role("alert").count() == 1
    wrong = all_problems(page, ["/staff/"])
    house.status["calls"] = calls
    assert wrong == "", wrong


# with the keyboard alone

FOCUSED = """() => {
  const here = document.activeElement, style = getComputedStyle(here), box = here.getBoundingClientRect();
  return {
    name: (here.getAttribute("aria-label") || here.textContent || here.name || here.tagName).trim().slice(0, 60),
    body: here === document.body,
    marked: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== "none",
    there: box.width > 0 && box.height > 0,
    inside: document.getElementById("content").contains(here),
  };
}"""
MANY = 400  # tab stops that no page has


def tabs(page: Any) -> Iterator[dict[str, Any]]:
    """What has the focus after each press of Tab, until the page is left."""
    first = ""
    for _press in range(MANY):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUSED)
        if now["body"] or now["name"] == first:  # out of the page, or round by the browser's own bar
            return
        first = first or now["name"]
        yield now
    pytest.fail("the focus never leaves the page")


@pytest.mark.peer("chromium")
@pytest.mark.parametrize(
    "path", ["", "phones", f"phones/{practice.YEALINK}", "practice", "numbers", "locations/lab"]
)
def test_the_focus_is_seen_and_leaves_the_page(house: House, page: Any, path: str):
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{page.origin}/staff/{path}")
    stops = list(tabs(page))
    assert stops[0]["name"] == "Skip to the content"
    assert [stop["name"] for stop in stops if not (stop["marked"] and stop["there"])] == []
    back = [stop["name"] for stop, after in pairwise(stops) if stop["inside"] > after["inside"]]
    assert back == []  # head first, then content, and never back


@pytest.mark.peer("chromium")
def test_the_skip_link_leads_to_the_content(house: House, page: Any):
    page.goto(f"{page.origin}/staff/phones")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)["inside"]


@pytest.mark.peer("chromium")
@pytest.mark.parametrize(("width", "menu"), [(1280, ".menu.account"), (390, ".menu.narrow")])
def test_a_menu_opens_and_closes_by_the_keyboard(house: House, page: Any, width: int, menu: str):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{page.origin}/staff/calls")
    opener = page.locator(f"{menu} > summary")
    opener.focus()
    page.keyboard.press("Enter")
    page.locator(menu).get_by_role("button", name="Sign out").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    assert not page.locator(menu).evaluate("menu => menu.open")
    assert opener.evaluate("opener => opener === document.activeElement")


@pytest.mark.peer("chromium")
def test_nothing_to_object_to_before_the_sign_in(house: House, page: Any):
    page.context.clear_cookies()
    wrong = all_problems(
        page, [f"/staff{path}" for found in every_page.NO_SESSION.values() for path in found]
    )
    assert wrong == "", wrong


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
