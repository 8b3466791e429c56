"""The documentation says what the program does."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
from pathlib import Path

import click
import pytest
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter, Rule

from provisioner.cli import cli
from provisioner.paths import StateDir
from provisioner.web import menu
from provisioner.web.app import create_app
from tests.conftest import needs, without

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [Path("README.md"), *sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))]
OF_THE_FRONT = {"/staff/events"}  # answered by it alone
INTERNALS = (ROOT / "docs/internals.md").read_text()


def requirements() -> set[str]:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    extras = settings["options.extras_require"]
    lines = [settings["options"]["install_requires"], *(extras[name] for name in extras)]
    return {re.split(r"[<>=]", line)[0] for block in lines for line in block.split()}


@pytest.mark.parametrize("package", sorted(requirements()))
def test_every_dependency_has_its_reason(package: str) -> None:
    rows = [line for line in (ROOT / "docs/dependencies.md").read_text().splitlines() if line.startswith("|")]
    assert any(re.search(rf"\b{re.escape(package)}\b", row.split("|")[1]) for row in rows)


@pytest.mark.parametrize(
    "option", [o.opts[0] for o in cli.commands["run"].params if o.opts[0].startswith("--")]
)
def test_readme_knows_every_option_of_run(option: str) -> None:
    assert option in README


def test_readme_names_only_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^make ([a-z]+)", README, re.M)) <= targets


def unknown(line: str) -> list[str]:
    """The words of `provisioner LINE` that no command and no option has."""
    words = re.findall(r"[^\s\[\]|]+", line.partition(" #")[0])
    command: click.Command = cli
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return words[:1]
        command, words = found, words[1:]
    options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    return [word for word in words if word.startswith("--") and word not in options]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_and_their_options_are_there(page: Path) -> None:
    text = (ROOT / page).read_text()
    lines = re.findall(r"(?:^|`)(?:\.venv/bin/)?provisioner ([a-z][^`\n]*)", text, re.M)
    assert {line: wrong for line in lines if (wrong := unknown(line))} == {}


def test_an_unknown_command_or_option_is_found() -> None:
    assert unknown("phones lost") == ["lost"]
    assert unknown("phones list --mac x | --json") == ["--mac"]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_pages_are_where_the_menu_has_them(page: Path) -> None:
    """`*Settings → Trust*`: what staff are told to choose."""
    areas = {row.text: row.area for row in menu.NAV}
    tabs = {(row.area, row.text) for row in menu.TABS}
    told = re.findall(r"\*(\w+) → ([^*]+)\*", (ROOT / page).read_text())
    assert {each for each in told if (areas[each[0]], each[1]) not in tabs} == set()


def known(rules: list[Rule], adapter: MapAdapter, path: str) -> bool:
    """Whether a path of the documentation, `<names>` in it, is one of the application's."""
    if any(re.sub("<[^>]*>", "<>", rule.rule) == re.sub("<[^>]*>", "<>", path) for rule in rules):
        return True
    try:
        adapter.match(path)
    except MethodNotAllowed:
        return True
    except NotFound:
        return False
    return True


def test_paths_are_there(tmp_path: Path) -> None:
    routes = create_app(StateDir.create(tmp_path / "state")).url_map
    rules, adapter = list(routes.iter_rules()), routes.bind("appliance")
    told = {
        (str(page), path.rstrip("."))
        for page in PAGES
        for path in re.findall(r"(?<!docs)/(?:api/v1|staff)/[\w/<>.-]*\w>?", (ROOT / page).read_text())
    }
    gone = {each for each in told if not known(rules, adapter, each[1]) and each[1] not in OF_THE_FRONT}
    assert len(told) > 50
    assert gone == set()


def calls(process: str) -> set[str]:
    """Keys of the table that holds `ping`, wherever in the room it stands."""
    for path in (ROOT / "provisioner" / process).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            keys = (
                {k.value for k in node.keys if isinstance(k, ast.Constant)}
                if isinstance(node, ast.Dict)
                else set()
            )
            if "ping" in keys:
                return keys
    return set()


@pytest.mark.parametrize("process", ["media", "edge", "front", "core"])
def test_every_control_call_is_described(process: str) -> None:
    found = calls(process)
    assert "ping" in found
    for call in found:
        assert f"`{call}`" in INTERNALS


def test_nothing_of_the_builders_machine_is_in_the_tree() -> None:
    needs("git")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if files.returncode:  # an unpacked archive
        without("git clone, in place of an archive")
    forbidden = re.compile(rb"/work/|pypi\.org|files\.pythonhosted|registry\.npmjs|deb\.debian\.org|/root/")
    mine = Path(__file__).relative_to(ROOT).as_posix()
    for name in files.stdout.decode().split("\0"):
        if name and name != mine and not name.endswith(".ulaw"):
            assert not forbidden.search((ROOT / name).read_bytes()), name
