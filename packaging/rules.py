#!/usr/bin/env python3
"""Make docs/rules.md: each rule of the call behaviour, and the tests that prove it, read from the tests themselves.

Run from the checkout: python packaging/rules.py [--check]
`--check` writes nothing, and fails when the page is not true.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "rules.md"
HEAD = """# Rules and their tests

Made by `packaging/rules.py` from `tests/rules.toml` and the tests; `make rules` writes it anew.
A test in **bold** has independent programs at its ends.
"""

Node = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Proof = tuple[str, bool]  # "tests/….py::name", and whether an independent peer plays in it


def _marks(nodes: list[ast.expr], name: str) -> Iterator[ast.Call]:
    """The calls of `pytest.mark.<name>` among decorators, in parameters too."""
    for node in nodes:
        for call in ast.walk(node):
            function = call.func if isinstance(call, ast.Call) else None
            if isinstance(function, ast.Attribute) and ast.unparse(function).endswith(f"mark.{name}"):
                assert isinstance(call, ast.Call)
                yield call


def _peer(nodes: list[ast.expr]) -> bool:
    """Whether `pytest.mark.peer` stands among them, with or without the names of programs."""
    inside = (part for node in nodes for part in ast.walk(node))
    return any(isinstance(part, ast.Attribute) and ast.unparse(part).endswith("mark.peer") for part in inside)


def _named(nodes: list[ast.expr]) -> set[str]:
    return {str(ast.literal_eval(each)) for call in _marks(nodes, "rule") for each in call.args}


def _tests(body: list[ast.stmt], where: str, marks: list[ast.expr]) -> Iterator[tuple[str, list[ast.expr]]]:
    for node in body:
        if isinstance(node, Node):
            own = [*marks, *node.decorator_list]
            if isinstance(node, ast.ClassDef):
                yield from _tests(node.body, f"{where}::{node.name}", own)
            elif node.name.startswith("test"):
                yield f"{where}::{node.name}", own


def _module_marks(tree: ast.Module) -> list[ast.expr]:
    return [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]


def proofs(folder: Path = ROOT / "tests") -> dict[str, list[Proof]]:
    """Rule id → the tests that name it, in order of their files."""
    found: dict[str, list[Proof]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for test, marks in _tests(tree.body, str(path.relative_to(folder.parent)), _module_marks(tree)):
            peer = _peer(marks)
            for rule in _named(marks):
                found.setdefault(rule, []).append((test, peer))
    return found


def rules(table: Path = ROOT / "tests" / "rules.toml") -> dict[str, dict[str, str]]:
    """Section → rule → its words; the section's own `title` among them."""
    return tomllib.loads(table.read_text("utf-8"))


def page() -> str:
    """The whole of docs/rules.md."""
    found = proofs()
    parts = [HEAD]
    for section, rows in rules().items():
        parts.append(f"\n## {rows['title']}\n\n| rule | what holds | tests |\n|---|---|---|\n")
        for name, words in rows.items():
            if name != "title":
                tests = found.get(f"{section}.{name}", [])
                cells = "<br>".join(f"**`{test}`**" if peer else f"`{test}`" for test, peer in tests)
                parts.append(f"| `{section}.{name}` | {words} | {cells} |\n")
    return "".join(parts)


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    if "--check" not in arguments:
        PAGE.write_text(page(), "utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != page():
        print("docs/rules.md is not true any more: run make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
