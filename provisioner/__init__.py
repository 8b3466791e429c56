"""Provisioner: phones, numbers, emergency addresses and the SIP edge of a practice, on one appliance."""

__version__ = "0.1.0"
