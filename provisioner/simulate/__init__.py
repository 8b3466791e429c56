"""Phones that boot, register, call and press keys like the real ones."""
