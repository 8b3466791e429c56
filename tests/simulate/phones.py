"""Phones without a provisioning server, for tests of calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from provisioner.simulate import digits
from provisioner.simulate.digits import DialPlan
from provisioner.simulate.phone import Phone
from provisioner.simulate.vendors import phone_type
from provisioner.simulate.vendors.base import Account, Configuration


@asynccontextmanager
async def phone_at(
    server: tuple[str, int], user: str = "101", maker: str = "polycom", transport: str = "UDP"
) -> AsyncIterator[Phone]:
    """An open phone with an account at `server`; `number` of the test is 1000 and its extension."""
    phone = Phone(phone_type(maker), "0004f2000101", "http://127.0.0.1:9/", Random(int(user)))
    await phone.open()
    account = Account(user, f"u{user}", "s3cret", *server, transport, display="Front desk")
    rules, _ = digits.read("911|933|988|10x", "polycom")
    phone.use(Configuration(account, DialPlan(rules), challenges=maker == "grandstream"))
    try:
        yield phone
    finally:
        await phone.close()
