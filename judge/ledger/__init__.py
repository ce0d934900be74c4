"""Durable facts on SQLAlchemy Core: schema, group commit, runs, what is left to ask."""
