"""The meaning of dialled digits, and the extensions that a practice may use. No I/O."""
