"""Alembic's scripts: how the tables of each version become those of the next, on both databases.

A change of `tables.py` comes with a new file in `versions/`, named by the next number, and with that number in
`tables.VERSION`; a test compares the tables that both ways make. Only `tunewell upgrade` runs these.
"""
