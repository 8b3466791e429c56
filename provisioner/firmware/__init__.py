"""Firmware: which versions there are for which phones, and what stands between them."""
