"""Ways to calling services as records: which kinds there are, how each is spoken to, how staff change them."""
