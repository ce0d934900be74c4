"""Statistics over columns: agreement, order effects, chance, intervals, reports."""
