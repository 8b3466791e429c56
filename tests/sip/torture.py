"""The torture messages of RFC 4475 and RFC 5118, byte by byte, and what our agent does with a message.

`python -m tests.sip.torture FOLDER` writes them into files. They come from the archives in the RFCs' own
appendices, which Debian's package doc-rfc-informational (non-free) has; nothing of them is kept here.
"""

from __future__ import annotations

import gzip
import io
import re
import sys
import tarfile
from base64 import b64decode
from pathlib import Path

from provisioner.sip.session import Session
from provisioner.sip.transaction import ServerTransaction
from tests.conftest import without
from tests.sip.lone import Lone

FOLDER = Path("/usr/share/doc/RFC/links")
SIZES = {4475: 50, 5118: 12}  # how many messages the RFCs hold


def messages(number: int) -> dict[str, bytes]:
    """Messages of an RFC by name: the base64 of a tar file between the marks in its appendix."""
    if not FOLDER.exists():
        without("apt-get install doc-rfc-informational (Debian's component non-free)")
    text = gzip.decompress((FOLDER / f"rfc{number}.txt.gz").read_bytes()).decode("latin-1")
    packed = text[text.rindex("-- BEGIN MESSAGE ARCHIVE --") : text.rindex("-- END MESSAGE ARCHIVE --")]
    lines = [line.strip() for line in packed.splitlines()[1:]]
    raw = b64decode("".join(line for line in lines if re.fullmatch("[A-Za-z0-9+/]+={0,2}", line)))
    found = {}
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                found[Path(member.name).stem] = content.read()
    return found


def on_the_wire(data: bytes) -> bytes:
    """A message of an archive with what the archive lost: CRs (all of RFC 5118), the empty line at the end."""
    data = data if b"\r\n" in data else data.replace(b"\n", b"\r\n")
    return data if b"\r\n\r\n" in data else data + b"\r\n"


def _answer(transaction: ServerTransaction) -> None:
    """What our element does outside dialogs: it is a registrar, and knows its own methods only."""
    if transaction.request.method == "REGISTER":
        transaction.reply(200)
    else:
        transaction.layer.user.on_other_in_dialog(transaction)


def _ring(session: Session) -> None:
    session.progress(180)


def play(data: bytes) -> Lone:
    """An agent that rings at every INVITE, and has heard `data`."""
    lone = Lone()
    lone.party.on_call = _ring
    lone.party.on_request = _answer
    lone.hear(data)
    return lone


def outcome(data: bytes) -> str:
    """Status of the last answer to `data`, "dropped" without one."""
    lone = play(data)
    return lone.lines()[-1].split()[1] if lone.sent else "dropped"


def main(folder: str) -> None:
    """Write all messages of both RFCs to files."""
    for number in SIZES:
        for name, data in messages(number).items():
            target = Path(folder) / f"rfc{number}"
            target.mkdir(parents=True, exist_ok=True)
            (target / f"{name}.dat").write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1])
