"""Alembic's migrations of the tables: each version adds one, and none is changed once it was released."""
