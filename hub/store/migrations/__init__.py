"""How the tables came to be, revision by revision, for Alembic.

A change of `hub/store/tables.py` needs a new file in `versions/`, written by hand in the types that both databases
share; `tests/store/test_database.py` says what is missing. A revision that has left the house is never changed.
"""
