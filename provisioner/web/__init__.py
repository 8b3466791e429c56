"""The staff page and the API."""
