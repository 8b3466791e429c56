"""Phones without a provisioning server, for tests of calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from provisioner.simulate.digits import rfc3435
from provisioner.simulate.phone import Phone
from provisioner.simulate.vendors import MAKERS
from provisioner.simulate.vendors.base import Account, Configuration, DialPlan


@asynccontextmanager
async def phone_at(
    server: tuple[str, int], user: str = "101", maker: str = "polycom", transport: str = "UDP"
) -> AsyncIterator[Phone]:
    """An open phone with an account at `server`; `number` of the test is 1000 and its extension."""
    phone = Phone(MAKERS[maker], "0004f2000101", "http://127.0.0.1:9/", Random(int(user)))
    await phone.open()
    account = Account(user, f"u{user}", "s3cret", *server, transport, display="Front desk")
    phone.use(Configuration(account, DialPlan(rfc3435("911|933|988|10x"))))
    try:
        yield phone
    finally:
        await phone.close()
