"""Batches of a provider: asks written to files, and what came back read into the ledger."""
