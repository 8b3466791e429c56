"""Inventory and journal: schema, migrations, typed records."""
