"""What the set-up script says on a machine that lacks something, with the plainest shell there is."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "packaging" / "setup.sh"
SHELL = shutil.which("dash") or "/bin/sh"
TOOLS = ("cat", "cksum", "cut", "dirname")


@pytest.fixture
def machine(tmp_path):
    """A checkout and a PATH that holds nothing but a few tools; gives a function that runs set-up there."""
    (tmp_path / "checkout" / "packaging").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "checkout" / "packaging" / "setup.sh"
    shutil.copy(SCRIPT, script)
    for name in ("requirements.lock", "requirements-dev.lock"):
        (script.parent / name).touch()
    (tmp_path / "checkout" / "setup.cfg").touch()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))

    def setup(*arguments):
        return subprocess.run(
            [SHELL, script, *arguments],
            env={"PATH": str(tmp_path / "bin")},
            capture_output=True,
            text=True,
            check=False,
        )

    return setup


def install(machine_bin, name, text):
    program = machine_bin / name
    program.write_text(f"#!{SHELL}\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_without_python_it_says_what_to_install(machine):
    found = machine("run")
    assert found.returncode == 1
    assert found.stdout == ""
    (line,) = found.stderr.splitlines()
    assert line.startswith("provisioner: Python 3.11 or later is missing: install it")


def test_a_python_that_is_too_old_or_only_a_name_does_not_count(machine, tmp_path):
    install(tmp_path / "bin", "python3.13", "echo 'no such version' >&2; exit 127")
    install(tmp_path / "bin", "python3", "exit 1")
    found = machine("run")
    assert found.returncode == 1
    assert "Python 3.11 or later is missing" in found.stderr


def test_without_venv_it_says_what_to_install(machine, tmp_path):
    install(tmp_path / "bin", "python3.11", 'case "$2" in *ensurepip*) exit 1 ;; esac')
    found = machine("run")
    assert found.returncode == 1
    (line,) = found.stderr.splitlines()
    assert line.startswith("provisioner: python3.11 has no venv: install it")


def test_wrong_use(machine):
    found = machine("nonsense")
    assert (found.returncode, found.stderr) == (1, "provisioner: usage: packaging/setup.sh run|dev\n")
