"""Policies: what to ask about a pair, and which answers its label rests on."""
