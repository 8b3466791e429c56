"""Bring the catalogues up to date with the texts of templates and code: `texts.py`; says what has no translation yet.

Texts of the pages go through gettext names. Rooms below the pages name none: their sentences (what is raised, and what
else people read) are taken out of their sources here, with `{names}` where values stand (provisioner/web/told.py).
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from provisioner.phones.vocabulary import SETTINGS
from provisioner.store.records import KINDS
from provisioner.web import language, words
from provisioner.web.language import BELOW
from provisioner.web.told import LOOSE

ROOT = Path(__file__).parent.parent
WEB = ROOT / "provisioner" / "web"
METHODS = [("**/templates/*.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
OPTIONS = {"**/templates/*.html": {"trimmed": "true", "silent": "false"}}
# Rooms and modules below whose sentences reach a page; what of them speaks to machines or logs only is left out.
SPEAKING = (
    *(
        "phones",
        "emergency",
        "store",
        "dialing",
        "notifier",
        "edge",
        "people",
        "keeping",
        "trunks",
        "web",
        "media/recordings.py",
    ),
    *("certificates.py", "dialled.py", "ipc.py", "paths.py", "front/inspect.py", "front/pnp.py"),
)
SILENT = (
    *(
        "phones/yealink_aes.py",
        "phones/grandstream_binary.py",
        "phones/grandstream_encryption.py",
        "phones/identity.py",
    ),
    *("emergency/civic_text.py", "emergency/notices.py", "emergency/pidf.py", "emergency/providers/xml.py"),
    *("notifier/process.py", "notifier/notifier.py", "edge/process.py", "edge/presence.py", "edge/trunk.py"),
    *(
        "edge/registrar.py",
        "edge/registration.py",
        "edge/answers.py",
        "store/audit.py",
        "store/call_tables.py",
    ),
    *("store/request_log.py", "store/call_log.py", "store/tokens.py", "store/journal.py", "web/contract.py"),
    *(
        "web/openapi.py",
        "web/once.py",
        "web/api.py",
        "web/charts.py",
        "web/app.py",
        "web/assets.py",
        "web/backup_api.py",
    ),
    *("web/metrics.py", "web/api_page.py"),
)
TABLES = (("phone_templates/*/notify.toml", "keys"), ("provisioner/trunks/*.toml", "label"))
KEYWORDS = {
    "_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2), "later": None,
}  # fmt: skip
_ELSEWHERE = frozenset(  # calls whose texts are log lines, SQL, or in the catalogues already
    {"debug", "info", "warning", "error", "exception", "critical", "execute", "query", "problem", *KEYWORDS}
    | {"Meta", "_group"}  # parameters of API calls, names of settings
)
_NO_SENTENCE = re.compile(  # SQL, headers, log lines, names of columns, formats of dates
    r"^\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|BEGIN|WITH|FROM|AND|WHERE)\b|\n|^[a-z_]+/|SIP/2|sip:|;tag="
    r"|^attachment|%s|MMM| [=>] \?$|^By MAC:|^The id of|words for"
    r"|^[a-z0-9_]+( [a-z0-9_]{1,3})* [a-z]+[_0-9][a-z0-9_ ]*$"
)
_BRACE = re.compile(r"\{(?!\w+\})|(?<!\w)\}")  # none of a `{name}` that is there to be filled in
_WORDS = re.compile(r"[A-Za-z]{2,}")


def of_pages() -> Catalog:
    """The texts of templates and of code in the web room."""
    found = Catalog()
    for name, _line, message, comments, context in extract_from_dir(
        WEB, METHODS, OPTIONS, keywords=KEYWORDS, comment_tags=["Translators:"]
    ):
        found.add(message, locations=[(name, None)], auto_comments=comments, context=context)
    for name in sorted(SETTINGS):
        found.add(words.setting_name(name), locations=[("phones/vocabulary.py", None)])
    for name in sorted(
        {each.name for kind in KINDS for each in msgspec.structs.fields(kind)} - {"kind", "id"}
    ):
        found.add(words.setting_name(name), locations=[("store/records.py", None)])
    return found


def of_rooms_below() -> Iterator[tuple[str, str]]:
    """(file, sentence) of the rooms below."""
    package = ROOT / "provisioner"
    for speaking in SPEAKING:
        path = package / speaking
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            name = file.relative_to(package).as_posix()
            if name not in SILENT:
                tree = ast.parse(file.read_text())
                yield from (
                    (name, text) for text in _sentences(tree, _docstrings(tree)) if _is_sentence(text)
                )


def of_tables() -> Iterator[tuple[str, str]]:
    """(file, text) of the tables beside the code."""
    for pattern, key in TABLES:
        for file in sorted(ROOT.glob(pattern)):
            name = file.relative_to(ROOT).as_posix()
            yield from ((name, text) for text in _keyed(tomllib.loads(file.read_text()), key))


def _keyed(value: object, key: str) -> Iterator[str]:
    """All texts under `key`, wherever it is in a table."""
    if isinstance(value, dict):
        yield from (text for name, text in value.items() if name == key and isinstance(text, str))
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _keyed(each, key)


def _is_sentence(text: str) -> bool:
    bare = re.sub(r"\{\w+\}", "", text)
    return " " in text.strip() and len(_WORDS.findall(bare)) > 1 and not _NO_SENTENCE.search(text)


def _docstrings(tree: ast.AST) -> set[ast.AST]:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, owners)]
    return {body[0].value for body in bodies if isinstance(body[0], ast.Expr)}


def _sentences(node: ast.AST, without: set[ast.AST]) -> Iterator[str]:
    """All texts in the code below `node`, but for docstrings, log lines and names of modules."""
    called = node.func if isinstance(node, ast.Call) else None
    if node in without or getattr(called, "attr", getattr(called, "id", "")) in _ELSEWHERE:
        return
    text = _text(node, {}) if isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)) else None
    inside: Iterator[ast.AST] = ast.iter_child_nodes(node)
    if text is not None:
        yield text
        inside = iter(_values(node))
    decorators = getattr(node, "decorator_list", [])  # the contracts of API calls, which stay English
    for child in (each for each in inside if each not in decorators):
        yield from _sentences(child, without)


def _values(node: ast.AST) -> list[ast.AST]:
    """The expressions that a text is put together from."""
    if isinstance(node, ast.JoinedStr):
        return [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    if isinstance(node, ast.BinOp):
        return [each for side in (node.left, node.right) for each in (_values(side) or [side])]
    return []


def _text(node: ast.AST, names: dict[str, int]) -> str | None:
    """A text with `{names}` for its values; None for what is no text."""
    if isinstance(node, ast.Constant):
        return _BRACE.sub(r"\g<0>\g<0>", node.value) if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(_text(part, names)) if isinstance(part, ast.Constant) else _name(part, names)
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = [_text(side, names) for side in (node.left, node.right)]
        if any(side is not None for side in sides):
            return "".join(
                text if text is not None else _name(side, names)
                for side, text in zip((node.left, node.right), sides, strict=True)
            )
    return None


def _name(node: ast.AST, names: dict[str, int]) -> str:
    """`{name}` for an expression, never the same twice in one text."""
    value = node.value if isinstance(node, ast.FormattedValue) else node
    name = getattr(value, "attr", getattr(value, "id", "value")).strip("_") or "value"
    names[name] = names.get(name, 0) + 1
    return "{" + (name if names[name] == 1 else f"{name}{names[name]}") + "}"


def wanted() -> Catalog:
    """All texts that a catalogue must have."""
    found = of_pages()
    loose = (("web/told.py", text) for text in LOOSE)
    for name, text in (*of_rooms_below(), *of_tables(), *loose):
        found.add(text, locations=[(name, None)], context=BELOW)
    return found


def updated(code: str) -> Catalog:
    """The catalogue of a language with exactly the texts that there are; translations that are known stay."""
    known, found = language.read(code), wanted()
    fresh = Catalog(code, project="provisioner", header_comment=f"# {language.LANGUAGES[code]}", fuzzy=False)
    for message in found:
        if message.id:
            old = known.get(message.id, message.context)
            fresh.add(
                message.id,
                old.string if old else None,
                locations=sorted({(name, None) for name, _line in message.locations}),
                flags=message.flags,
                auto_comments=message.auto_comments,
                context=message.context,
            )
    return fresh


def as_text(found: Catalog) -> bytes:
    """The file of a catalogue, in an order that does not depend on lines."""
    file = io.BytesIO()
    write_po(file, found, width=110, sort_output=True, include_lineno=False, omit_header=False)
    return re.sub(rb'"(POT-Creation-Date|PO-Revision-Date|Generated-By)[^\n]*\n', b"", file.getvalue())


def untranslated(found: Catalog) -> list[str]:
    """The texts of a catalogue that have no translation."""
    return [str(message.id) for message in found if message.id and not all(_forms(message.string))]


def _forms(string: object) -> list[str]:
    return [str(each or "") for each in string] if isinstance(string, (list, tuple)) else [str(string or "")]


def main() -> int:
    """0 when every text has its translation in every language."""
    missing = []
    for code in language.LANGUAGES:
        if code != "en":
            found = updated(code)
            (WEB / "languages").mkdir(exist_ok=True)
            (WEB / "languages" / f"{code}.po").write_bytes(as_text(found))
            missing += [f"{code}: {text}" for text in untranslated(found)]
    print("\n".join([*missing, f"{len(missing)} texts without translation"]))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
