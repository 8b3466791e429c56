"""Write the lock files anew from setup.cfg: `.venv/bin/python packaging/lock.py [UV]`.

Needs uv (on the PATH, or named). The locks hold for every platform and for Python 3.11 and later.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
INSTALL = [("options", "install_requires")]
DEV = [*INSTALL, ("options.extras_require", "dev")]
NETIFACES = [("options.extras_require", "netifaces")]


def lock(name: str, places: list[tuple[str, str]], uv: str, *more: str) -> None:
    """Resolve what setup.cfg names in `places` into packaging/`name`, with hashes and no index's address."""
    settings = configparser.ConfigParser()
    settings.read(HERE.parent / "setup.cfg")
    wanted = "\n".join(settings[section][option] for section, option in places) + "\nsetuptools>=77\n"
    command = [
        uv,
        "pip",
        "compile",
        "-",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--quiet",
    ]
    form = ["--no-header", "--no-annotate", "--no-emit-index-url", *more]
    found = subprocess.run(
        [*command, *form], input=wanted, text=True, stdout=subprocess.PIPE, check=True, cwd=HERE
    )
    (HERE / name).write_text(found.stdout)


def main(uv: str = "uv") -> None:
    """All lock files; they agree on what they share."""
    shared = ("--constraint", "requirements.lock")
    lock("requirements.lock", INSTALL, uv)
    lock("requirements-dev.lock", DEV, uv, *shared)
    lock("requirements-netifaces.lock", NETIFACES, uv, *shared)


if __name__ == "__main__":
    main(*sys.argv[1:2])
