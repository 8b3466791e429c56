"""The SIP edge: registrar, trunk, calls, transfer, emergency routing."""
