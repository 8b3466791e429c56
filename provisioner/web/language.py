"""The language of a page: texts go through gettext names and are looked up when they are shown."""

from __future__ import annotations

import gettext as catalogues

from flask import Flask, g, has_request_context

LANGUAGES = {"en": "English", "es": "Español"}


def _catalogue() -> catalogues.NullTranslations:
    found = g.get("catalogue") if has_request_context() else None
    return found or catalogues.NullTranslations()


def gettext(message: str) -> str:
    """`message` in the language of this request. Import it as `_`."""
    return _catalogue().gettext(message)


def ngettext(one: str, many: str, count: int) -> str:
    """The form of a message that `count` asks for, in the language of this request."""
    return _catalogue().ngettext(one, many, count)


def pgettext(context: str, message: str) -> str:
    """`message` where the same English word means several things: `context` says which."""
    return _catalogue().pgettext(context, message)


def later(message: str) -> str:
    """Marks a text of a table for the catalogues; what shows it calls `gettext`. Import it as `N_`."""
    return message


def install(app: Flask) -> None:
    """Give the templates `_`, `ngettext`, `pgettext` and `{% trans %}`."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        gettext=gettext, ngettext=ngettext, pgettext=pgettext, newstyle=True
    )
