"""Locations and how they travel with an emergency call."""
