"""Tests of what is dialled."""
