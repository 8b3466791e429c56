"""Desk phones: who is asking, which file is asked for, and what it says."""
