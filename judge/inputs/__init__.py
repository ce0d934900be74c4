"""Reading what users have: pairs, votes, judgments, tables, other tools' files."""
