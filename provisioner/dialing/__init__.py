"""Numbers, extensions and the meaning of dialled digits."""
