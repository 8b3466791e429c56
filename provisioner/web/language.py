"""The language of a page: texts go through gettext names and are looked up when they are shown.

The catalogues are `languages/<language>.po`, read at their first use: no build step stands between a text and its page.
"""

from __future__ import annotations

import functools
import gettext as catalogues
import io
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask, g, has_request_context, request

LANGUAGES = {"en": "English", "es": "Español"}
LOCALES = {"en": "en_US", "es": "es_US"}  # how dates and numbers are written
COOKIE = "language"
BELOW = "below"  # the context of texts that rooms below say (told.py)
DIRECTORY = Path(__file__).parent / "languages"


@functools.cache
def read(language: str) -> Catalog:
    """The catalogue file of a language; empty where there is none: English stands in the code itself."""
    path = DIRECTORY / f"{language}.po"
    if not path.exists():
        return Catalog(language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


@functools.cache
def catalogue(language: str) -> catalogues.NullTranslations:
    """The texts of a language, to look them up in."""
    compiled = io.BytesIO()
    write_mo(compiled, read(language))
    compiled.seek(0)
    return catalogues.GNUTranslations(compiled)


def pairs(language: str, context: str | None) -> list[tuple[str, str]]:
    """Texts and translations of a language in a context (None: without any); none that has a plural."""
    return [
        (each.id, str(each.string))
        for each in read(language)
        if each.context == context and isinstance(each.id, str) and each.id and each.string
    ]


def current() -> str:
    """The language of this request, a key of LANGUAGES. Outside a request, and for programs, English."""
    if not has_request_context():
        return "en"
    found: str | None = g.get("language")  # some hundred times a page
    if found is None:
        found = g.language = "en" if request.path.startswith("/api/") else _choose()
    return found


def _choose() -> str:
    asked = [tag.partition("-")[0].lower() for tag in request.accept_languages.values()]
    ranked = [g.get("preferred_language", ""), request.cookies.get(COOKIE, ""), *asked]
    return next((str(wanted) for wanted in ranked if wanted in LANGUAGES), "en")


def locale() -> Locale:
    """How this request's dates and numbers are written."""
    return Locale.parse(LOCALES[current()])


def gettext(message: str) -> str:
    """`message` in the language of this request. Import it as `_`."""
    return _told(current(), message)


@functools.lru_cache(8192)  # texts; some hundred of them stand on one page, many in each row
def _told(language: str, message: str) -> str:
    held = catalogue(language)
    found = held.gettext(message)
    return found if found != message else held.pgettext(BELOW, message)


def ngettext(one: str, many: str, count: int) -> str:
    """The form of a message that `count` asks for, in the language of this request."""
    return catalogue(current()).ngettext(one, many, count)


def pgettext(context: str, message: str) -> str:
    """`message` where the same English word means several things: `context` says which."""
    return catalogue(current()).pgettext(context, message)


def later(message: str) -> str:
    """Marks a text of a table for the catalogues; what shows it calls `gettext`. Import it as `N_`."""
    return message


def install(app: Flask) -> None:
    """Give the templates `_`, `ngettext`, `pgettext`, `{% trans %}` and `language()`."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        gettext=gettext, ngettext=ngettext, pgettext=pgettext, newstyle=True
    )
    app.jinja_env.globals.update(language=current, languages=LANGUAGES)
