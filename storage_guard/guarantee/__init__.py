"""Is the create-only condition real here? Asked of the store itself, before the first byte of a user's data.

findings.py    laws, what was observed of them, and what follows: pure
racing.py      writers that are let go at one moment
bench.py       objects and uploads of an examination, and cleaning up behind it
trial.py       one operation, held against its laws
marker.py      the verdict, kept in the store for other processes
examining.py   each operation once for a Store, before its first use
"""
