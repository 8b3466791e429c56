"""The stand-in cloud core of the demo: patients, menus and an emergency centre."""
