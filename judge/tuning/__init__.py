"""Trying judges on the dev votes, and the best one once on the test votes."""
