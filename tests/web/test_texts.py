"""Texts of the pages: all in the catalogues, all translated, and no page with a text that is in none."""

from __future__ import annotations

import gettext
import importlib.util
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import every_page
import pytest
from babel.dates import get_month_names
from babel.messages.catalog import Catalog
from every_page import House
from lxml import html

from provisioner.phones.catalogue import Catalogue
from provisioner.phones.vocabulary import SETTINGS
from provisioner.web import language, told, trunk_words

CATALOGUE = Catalogue()
ROOT = Path(__file__).parents[2]
_PATH = ROOT / "packaging" / "texts.py"
SPOKEN = (
    "aria-label",
    "title",
    "placeholder",
    "alt",
    "data-label",
    "data-live",
    "data-not-live",
    "data-copied",
)
SILENT = {"code", "pre", "script", "style", "kbd"}
_VALUES = re.compile(r"%\((\w+)\)[sd]|\{(\w+)\}")
_TAGS = re.compile(r"</?(\w+)")
_WORD = re.compile(r"[A-Za-zÀ-ÿ]{2,}")
_MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
_NAME = re.compile(r"\S*[\d._/@]\S*|\b[a-z]+(?:-[a-z]+)+\b")  # of files, hosts, models, prompts
# Technical words, makers and places that are the same in every language.
SAME = set(
    """AM API BEGIN Bearer CA CERTIFICATE CSV Clinic Contact DER DHCP DNS DTMF English Español Extension GB GET
    Grandstream HEAD HTTP HTTPS ISC JSON KB Kea MAC MB MOS Model Name Number OPNsense OpenAPI PEM PM POST
    Reject Poly Polycom Provisioner RTP SIP SRTP Server TCP TFTP TLS UDP UTC VLAN WAV Windows Yealink ZIP
    dnsmasq dhcpd ms actor msg taker pai pfSense sept""".split()
)


@pytest.fixture(scope="module")
def texts() -> Any:
    spec = importlib.util.spec_from_file_location("texts", _PATH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def keys(found: Catalog) -> set[tuple[Any, Any]]:
    return {(each.id, each.context) for each in found if each.id}


def test_the_catalogue_has_every_text_and_no_other(texts: Any):
    """After a change of texts: `python packaging/texts.py`, then translate what it names."""
    assert keys(texts.wanted()) == keys(language.read("es"))


def test_every_text_is_translated(texts: Any):
    held = language.read("es")
    assert texts.untranslated(held) == []
    assert [each.id for each in held if each.fuzzy and each.id] == []


def _forms(text: Any) -> list[str]:
    return list(text) if isinstance(text, (list, tuple)) else [text]


def test_translations_have_the_same_values_and_tags():
    for each in language.read("es"):
        one, *more = _forms(each.id)
        for number, said in enumerate(_forms(each.string) if each.id else []):
            wanted = more[0] if more and number else one
            assert sorted(_VALUES.findall(said)) == sorted(_VALUES.findall(wanted)), wanted
            assert sorted(_TAGS.findall(said)) == sorted(_TAGS.findall(wanted)), wanted


# the pages


class Marked(gettext.NullTranslations):
    """A language in which every text stands in brackets."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, one: str, many: str, count: int) -> str:
        return f"⟦{one if count == 1 else many}⟧"

    def pgettext(self, context: str, message: str) -> str:
        return f"⟦{message}⟧"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with every_page.house(tmp_path_factory.mktemp("house") / "state") as made:
        yield made


def spoken(page: bytes) -> str:
    """All that a page says to those who see and those who hear it; what is in another language is not."""
    tree = html.fromstring(page)
    for other in tree.xpath("//body//*[@lang]"):
        other.drop_tree()
    for node in list(tree.iter(*SILENT)):
        node.drop_tree()
    attributes = [node.get(name) for node in tree.iter() for name in SPOKEN if name in node.attrib]
    return " | ".join([*tree.itertext(), *attributes])


def data(house: House) -> set[str]:
    """Every word of the practice's own data."""
    found = {*SAME, every_page.LONG[4:20]}  # pictures cut long names off
    for path in (house.state.inventory, house.state.journal):
        with sqlite3.connect(path) as connection:
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall():
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    found.update(_WORD.findall(" ".join(str(value) for value in row)))
    for setting in SETTINGS.values():
        found.update(_WORD.findall(f"{setting.name} {setting.choices} {setting.default}"))
    found.update(
        _WORD.findall(
            " ".join([*available_timezones(), *get_month_names("abbreviated", locale="es").values()])
        )
    )
    found.update(
        _WORD.findall(
            " ".join(
                model
                for vendor in CATALOGUE.vendors.values()
                for model in [each.name for each in vendor.models]
            )
        )
    )
    found.update(_WORD.findall((ROOT / "provisioner" / "trunks" / "trunk_profiles.toml").read_text()))
    found.update(
        _WORD.findall(
            str([setting[:1] + setting[4:] for _title, rows in trunk_words.SETTINGS for setting in rows])
        )
    )
    return found


def test_no_page_says_what_is_in_no_catalogue(house: House, monkeypatch: pytest.MonkeyPatch):
    texts = [(each.id, each.context) for each in language.read("es") if isinstance(each.id, str) and each.id]
    marked = Marked()

    def pairs(_code: str, context: str | None) -> list[tuple[str, str]]:
        return [(text, f"⟦{text}⟧") for text, at in texts if at == context]

    monkeypatch.setattr(language, "catalogue", lambda _code: marked)
    monkeypatch.setattr(language, "pairs", pairs)
    for kept in (told._known, told._tell, language._told):
        kept.cache_clear()
    known, browser, found = data(house), house.browser(), {}
    for path in house.paths():
        bare = spoken(browser.get(path, headers={"Accept-Language": "es"}).data)
        while (less := _MARKED.sub(" ", bare)) != bare:
            bare = less
        loose = [part.strip() for part in bare.split("|") if set(_WORD.findall(_NAME.sub(" ", part))) - known]
        if loose:
            found[path] = loose
    for kept in (told._known, told._tell, language._told):
        kept.cache_clear()
    assert not found, "\n".join(
        f"{path}: {' '.join(part.split())}" for path, said in found.items() for part in said
    )
