"""The documentation says what the program does."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
from pathlib import Path

import pytest

from provisioner.cli import cli
from tests.conftest import needs, without

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
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


def test_readme_names_only_commands_that_exist() -> None:
    for command in re.findall(r"`(?:\.venv/bin/)?provisioner ([a-z-]+)", README):
        assert command in cli.commands
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^make ([a-z]+)", README, re.M)) <= targets


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
