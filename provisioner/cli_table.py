"""The table of commands that are calls of the API: group, name, call, arguments, columns of the table.

Arguments: names of the path come first by themselves; then fields of the body or query: `name` is one argument
(`name?` may be left out), `name...` any number, `name=value` is always so. All other fields are options. Columns are
dotted paths into each entry.
"""

from __future__ import annotations

from typing import NamedTuple

SINGLES = {
    "requests": "List what phones asked for, and why they were answered so.",
    "status": "Say what runs, what is wrong, and how many phones are in which state.",
}
GROUPS = {
    "phones": "List, adopt, change, tell, import and retire phones.",
    "groups": "Groups of phones: their keys and who is in them.",
    "settings": "Phone settings: what there is, and what each layer says.",
    "extensions": "Say who has which extension, which comes next; reserve and release them.",
    "numbers": "The practice's numbers: where each leads, and its emergency address.",
    "locations": "Where phones are.",
    "ring-groups": "Who rings for a number.",
    "calls": "Calls, live and past; place one.",
    "dial-through": "Temporary numbers that connect one phone with its target.",
    "emergency": "Emergency calls: would they work, what was, who is told.",
    "trunks": "Ways to calling services.",
    "providers": "Telephone providers of the practice's numbers.",
    "practice": "The practice's own settings.",
    "trust": "Which phones get anything.",
    "recordings": "What callers hear.",
    "certificates": "Certificate authorities.",
    "jobs": "The appliance's own long work.",
}

HELP = {  # where the call's own words say too much or too little
    "phones move": "Place a phone at LOCATION.",
    "phones confirm": "Say that a phone is where it is placed, or at another location.",
    "phones resync": "Tell phones to fetch their files now, in waves, none while it is in a call.",
    "phones restart": "Tell phones to restart, in waves, none while it is in a call.",
    "phones reset": "Tell phones to forget all, as from the factory; their passwords are worth nothing from then on.",
    "phones jobs": "List what phones were told lately.",
    "phones job": "List what became of each phone of a job.",
    "phones show": "Show all about one phone.",
    "numbers decide": "Decide what a provider asks about an address, or give the number a place.",
    "numbers add": "Add numbers to the practice.",
    "extensions forward": "Change do-not-disturb, forwarding and screening of an extension.",
}

_TABLE = """
phones | list | GET /phones | | mac status vendor model lines.0.extension lines.0.name location_name version
phones | show | GET /phones/{mac} | |
phones | adopt | POST /phones/{mac}/adopt | |
phones | edit | PATCH /phones/{mac} | |
phones | move | PATCH /phones/{mac} | location |
phones | confirm | POST /phones/{mac}/location | |
phones | resync | POST /phones/jobs | macs... mode=resync |
phones | restart | POST /phones/jobs | macs... mode=restart |
phones | reset | POST /phones/jobs | macs... mode=reset |
phones | jobs | GET /phones/jobs | | job at mode who states
phones | job | GET /phones/jobs/{name} | | mac wave state body.note
phones | retire | POST /phones/{mac}/retire | |
phones | retired | GET /phones/retired | | id vendor model extensions at who
phones | keys | PUT /phones/{mac}/keys | |
phones | ignore | PUT /phones/{mac}/ignored | |
phones | unignore | DELETE /phones/{mac}/ignored | |
phones | ignored | GET /phones/ignored | |
phones | behind | GET /phones/behind | |
phones | discovery | GET /discovery | |
phones | welcome | POST /phones/{mac}/welcome | |
groups | list | GET /phone-groups | | id name members
groups | show | GET /phone-groups/{group} | |
groups | add | POST /phone-groups | name |
groups | edit | PUT /phone-groups/{group} | |
groups | remove | DELETE /phone-groups/{group} | |
settings | list | GET /settings | | name type default allowed help
settings | layers | GET /layers | | layer phones values
settings | phone | GET /phones/{mac}/settings | |
extensions | list | GET /extensions | q? | extension state name phone range until
extensions | show | GET /extensions/{extension} | |
extensions | next | GET /extensions/next | |
extensions | reserve | POST /extensions/{extension}/reserve | name |
extensions | release | POST /extensions/{extension}/release | |
extensions | length | POST /extensions/length | length |
extensions | features | GET /extensions/{extension}/features | |
extensions | forward | PUT /extensions/{extension}/features | |
extensions | ranges | GET /extension-ranges | | id name location group
extensions | add-range | POST /extension-ranges | first last name |
extensions | remove-range | DELETE /extension-ranges/{name} | |
numbers | list | GET /numbers | | id label extension ring_group location address_status provider
numbers | show | GET /numbers/{number} | |
numbers | add | POST /numbers | numbers... |
numbers | edit | PATCH /numbers/{number} | |
numbers | assign | POST /numbers/{number}/assign | target? |
numbers | addresses | GET /numbers/addresses | | number level words location registered.street remedy
numbers | address | GET /numbers/{number}/address | |
numbers | handling | GET /numbers/{number}/handling | |
numbers | decide | POST /numbers/{number}/address | decision? |
locations | list | GET /locations | | id name level parent civic
locations | show | GET /locations/{name} | |
locations | put | PUT /locations/{name} | |
locations | remove | DELETE /locations/{name} | |
ring-groups | list | GET /ring-groups | | id name mode members
ring-groups | show | GET /ring-groups/{group} | |
ring-groups | handling | GET /ring-groups/{group}/handling | |
ring-groups | add | POST /ring-groups | name |
ring-groups | edit | PATCH /ring-groups/{group} | |
ring-groups | remove | DELETE /ring-groups/{group} | |
calls | list | GET /calls | | started direction state caller.name callee.name outcome mos
calls | show | GET /calls/{call} | |
calls | export | GET /calls.csv | |
calls | place | POST /calls | extension to |
dial-through | list | GET /dial-through | | id number phone target calling expires once
dial-through | add | POST /dial-through | phone target |
dial-through | end | DELETE /dial-through/{name} | |
emergency | readiness | GET /emergency/readiness | |
emergency | log | GET /emergency/calls | | at kind extension location number outcome told not_told
emergency | tests | GET /emergency/tests | | extension name standing changed results.0.at results.0.outcome
emergency | notice | POST /emergency/notices | |
emergency | settings | GET /emergency/settings | |
emergency | set | PUT /emergency/settings | |
trunks | list | GET /trunks | | id uri order profile transfer has_password
trunks | show | GET /trunks/{trunk} | |
trunks | put | PUT /trunks/{trunk} | |
trunks | remove | DELETE /trunks/{trunk} | |
trunks | test | POST /trunks/{trunk}/test | |
trunks | result | GET /trunks/tests/{test} | |
trunks | profiles | GET /trunks/profiles | |
providers | list | GET /providers | | id api account url
providers | show | GET /providers/{provider} | |
providers | put | PUT /providers/{provider} | |
providers | test | POST /providers/{provider}/test | |
practice | show | GET /practice | |
practice | set | PATCH /practice | |
trust | show | GET /trust | |
trust | set | PATCH /trust | |
recordings | list | GET /recordings | | name own seconds says
recordings | put | PUT /recordings/{name} | |
recordings | get | GET /recordings/{name}.wav | |
recordings | remove | DELETE /recordings/{name} | |
certificates | list | GET /certificates | |
certificates | ca | GET /certificates/ca.{form} | |
certificates | put | PUT /certificates/makers/{maker} | |
certificates | remove | DELETE /certificates/makers/{maker} | |
jobs | list | GET /jobs | | id kind state done total what who
jobs | show | GET /jobs/{name} | |
jobs | cancel | DELETE /jobs/{name} | |
 | requests | GET /requests | | at mac method path status why
 | status | GET /status | |
"""


class Row(NamedTuple):
    """One command. `help`: "" for the words of the call."""

    group: str
    name: str
    method: str
    path: str
    arguments: tuple[str, ...]
    columns: tuple[str, ...]
    help: str


def _row(line: str) -> Row:
    group, name, call, arguments, columns = (each.strip() for each in line.split("|"))
    method, path = call.split()
    words = SINGLES.get(name) or HELP.get(f"{group} {name}", "")
    return Row(group, name, method, path, tuple(arguments.split()), tuple(columns.split()), words)


ROWS = tuple(_row(line) for line in _TABLE.strip("\n").splitlines())
