"""The databases of one appliance: the inventory (the truth) and the journal (what happened)."""
