"""What Polycom phones upload of themselves: changes made on the phone, directories, lists of calls.

All of it is hostile until read: no entities, no document type, no network, bounded sizes. Nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from lxml import etree

from provisioner.errors import PeerError
from provisioner.phones.formats import escape_xml

MAX_SIZE = 256 << 10
MAX_PARAMETERS = 2000  # an export of everything that a VVX can be set to has some 1,400
MAX_VALUE = 1024

# Never a phone's own to change, whether our files name the parameter today or not: where it registers and fetches its
# files, where a number goes (an emergency number above all), who may reach into it, and what refuses or diverts the
# call-back of an emergency centre.
OWNED = tuple(
    """
    apps. attendant. call. device. diags. dialplan. dir. divert. efk. exchange. feature. httpd. linekey. log. mb. msg.
    nat. phonelock. prov. ptt. qos. reg. sec. softkey. tcpipapp. tone.dtmf. voice.codecpref. voipprot.
    """.split()
)

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,127}", re.ASCII)
_DIRECTORY_FIELDS = frozenset("ln fn ct sd rt dc ad ar bw bb lb pt".split())


def _parse(data: bytes) -> etree._Element:
    """The root of a document. Raises PeerError for anything but plain, small, well-formed XML."""
    if len(data) > MAX_SIZE:
        raise PeerError("the file is too large", 413)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):  # ValueError: a declared encoding that is none
        raise PeerError("the file is not XML") from None
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr] # a parsed tree has its docinfo
        raise PeerError("the file declares a document type")
    return root


def _parameters(root: etree._Element) -> dict[str, str]:
    """All attributes by name: their elements do not matter to a phone. Raises PeerError for what is no parameter."""
    found: dict[str, str] = {}
    for element in root.iter(etree.Element):
        for name, value in element.attrib.items():
            text, setting = str(name), str(value)
            if not _NAME.fullmatch(text) or len(setting) > MAX_VALUE:
                raise PeerError("the file holds what is no parameter of a phone")
            found[text] = setting
    if len(found) > MAX_PARAMETERS:
        raise PeerError("the file holds too many parameters")
    return found


def owned(files: Iterable[bytes]) -> frozenset[str]:
    """The parameters that our own files for a phone set, in lower case: what an upload of it must not change.

    Phones do not tell `lineKey` from `linekey`.
    """
    return frozenset(name.lower() for data in files for name in _parameters(_parse(data)))


def stripped(data: bytes, ours: Collection[str]) -> bytes | None:
    """An uploaded `<mac>-phone.cfg` or `<mac>-web.cfg` without what the appliance owns; None when nothing remains.

    `ours`: what `owned` found. The same parameters give the same bytes, in whatever order they came, and what
    was stripped once stays as it is. Raises PeerError (status 400 or 413) for what is not such a file.
    """
    kept = {
        name: value
        for name, value in _parameters(_parse(data)).items()
        if name.lower() not in ours and not name.lower().startswith(OWNED)
    }
    if not kept:
        return None
    lines = "".join(f'\n    {name}="{escape_xml(kept[name])}"' for name in sorted(kept))
    return f"{_HEAD}<PHONE_CONFIG>\n  <OVERRIDES{lines}/>\n</PHONE_CONFIG>\n".encode()


def check_directory(data: bytes) -> None:
    """Raises PeerError unless this is a phone's directory: `directory`, `item_list`, and items of known fields."""
    root = _parse(data)
    if root.tag != "directory" or any(child.tag != "item_list" for child in root):
        raise PeerError("the file is not a directory")
    for item in root.iterfind("item_list/*"):
        fields = [str(field.tag) for field in item]
        if (
            item.tag != "item"
            or not _DIRECTORY_FIELDS.issuperset(fields)
            or any(len(field) for field in item)
        ):
            raise PeerError("the file is not a directory")
        if any(len(field.text or "") > MAX_VALUE for field in item):
            raise PeerError("a field of the directory is too long")


def check_call_list(data: bytes) -> None:
    """Raises PeerError unless this may be a phone's list of calls: well-formed, and its root says so.

    What the lists look like inside was not found in any source.
    """
    if not re.fullmatch(r"call_?lists?", str(_parse(data).tag), re.IGNORECASE):
        raise PeerError("the file is not a list of calls")
