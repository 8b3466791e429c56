"""`provisioner backup`, `restore`, `export`, `import`: what they print, and how they exit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provisioner import cli, demo
from provisioner.keeping import making, seal, settings_file
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import Practice


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    real = seal.lock
    monkeypatch.setattr(making.seal, "lock", lambda word, salt, _cost: real(word, salt, 2))
    state = StateDir.create(tmp_path / "state")
    inventory = Inventory.open(state.inventory)
    demo.seed(inventory, "sip:127.0.0.1")
    inventory.close()
    return state


def name_of(state: StateDir, new: str = "") -> str:
    inventory = Inventory.open(state.inventory)
    with inventory.change("test") as change:
        found = change.get(Practice, "practice")
        assert found
        if new:
            change.put(Practice(id="practice", name=new, main_number=found[0].main_number))
    inventory.close()
    return found[0].name


def run(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> str:
    assert cli.main([str(word) for word in words]) == code
    told = capsys.readouterr()
    return told.err if code else told.out


def test_there_and_back(state: StateDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    word = tmp_path / "word"
    word.write_text("correct horse\nsecond line\n")
    file, at = tmp_path / "b.zip", ("--state", state.root)
    told = json.loads(run(capsys, "backup", "--to", file, "--passphrase-file", word, "--json", *at))
    assert told == {"file": str(file), "bytes": file.stat().st_size, "sealed": True}
    name_of(state, "Other")
    seen = json.loads(run(capsys, "restore", file, "--passphrase-file", word, "--dry-run", "--json", *at))
    assert {"part": "inventory", "kind": "practice", "added": 0, "changed": 1, "removed": 0} in seen[
        "changes"
    ]
    assert name_of(state) == "Other"
    assert "not the passphrase" in run(capsys, "restore", file, "--passphrase", "wrong", *at, code=1)
    done = run(capsys, "restore", file, "--passphrase-file", word, *at)
    assert "1 changed" in done
    assert "-restore.zip" in done
    assert name_of(state) == demo.NAME
    assert not list(state.root.glob(".work-*"))


def test_among_its_own(state: StateDir, capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, "backup", "--with", "calls", "--state", state.root)
    assert "No passwords" in told
    (path,) = (state.root / "backups").glob("*-hand.zip")
    assert "no file" in run(capsys, "restore", path.with_name("gone.zip"), "--state", state.root, code=2)
    wrong = run(capsys, "restore", path, "--part", "calls", "--part", "users", "--state", state.root, code=1)
    assert "not in this backup" in wrong


def test_settings(state: StateDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--state", state.root)
    text = run(capsys, "export", *at)
    file = tmp_path / "settings.toml"
    file.write_text(text.replace(demo.NAME, "New name"))
    told: dict[str, Any] = json.loads(run(capsys, "import", file, "--dry-run", "--json", *at))
    assert told["changes"][0]["kind"] == "practice"
    assert name_of(state) == demo.NAME
    run(capsys, "import", file, *at)
    assert name_of(state) == "New name"
    file.write_text(text.replace("max_calls = 200", "max_calls = 0"))
    assert "practice practice" in run(capsys, "import", file, *at, code=1)
    assert "Nothing would change" in run(capsys, "import", *at, _file(tmp_path, run(capsys, "export", *at)))
    assert settings_file.FORMAT == 1


def _file(folder: Path, text: str) -> Path:
    path = folder / "same.toml"
    path.write_text(text)
    return path
