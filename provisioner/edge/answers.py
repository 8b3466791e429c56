"""What one leg's end says on the other: status codes and Reason (RFC 3261 16.7, 21; RFC 3326)."""

from __future__ import annotations

import re

from provisioner.sip.headers import split_list

MAX_REASON = 128
_REASON = re.compile(
    r'(SIP|Q\.850)\s*;\s*cause\s*=\s*(\d{1,3})(?:\s*;\s*text\s*=\s*("[\x20\x21\x23-\x5b\x5d-\x7e]*"))?', re.I
)

# What a caller could only misread: another's challenge, overload that is not ours, a dialog that it never had.
_MAPPED = {401: 500, 407: 500, 408: 480, 421: 480, 422: 480, 430: 480, 481: 480, 487: 480, 503: 480}


def mapped(status: int, menus: bool = False) -> int:
    """The final status for a caller whose call failed with `status` further on; 3xx is nobody's to follow.

    `menus`: the caller is a core that tells its user why; 503 would say that of us (16.7).
    """
    if menus and status == 503:
        return 500
    return 480 if 300 <= status < 400 else _MAPPED.get(status, status)


def reason(values: list[str]) -> str:
    """Reason headers as they may go on to the other leg: cause and text by the known protocols, "" for none."""
    found = [_REASON.match(item) for value in values for item in split_list(value)]
    texts = []
    for match in found:
        if match:
            text = f";text={match[3]}" if match[3] and len(match[3]) <= MAX_REASON else ""
            texts.append(f"{match[1].upper()};cause={match[2]}{text}")
    return ", ".join(texts[:2])


def bare(value: str) -> str:
    """A Reason without its words, which may name the caller, but for those of RFC 3326 section 3.1."""
    return re.sub(r';text="(?!Call completed elsewhere")[^"]*"', "", value)
