"""Providers' interfaces, one module each, behind one interface (`wire.Adapter`)."""
