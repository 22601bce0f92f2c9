"""Stores: where the logs of studies are kept. Files, each importing only those above it:

events.py       events <-> JSON text
refusal.py      what a store refuses, and in which words
lease.py        who runs which job, as a row
memory.py       MemoryStore
tables.py       the tables of a database
network.py      whether a path lies on a network file system
statement.py    statements sent straight to the driver
database.py     connections, transactions, retries: what both databases share
sqlite.py       one file
postgresql.py   a server
sql_leases.py   who runs which job, in a database
sql.py          SqlStore
address.py      open_store: from what a person writes to a Store
migrations/     from the tables of an older tunewell to those of this one
"""
