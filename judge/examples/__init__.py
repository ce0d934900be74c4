"""Files that commands need at run time, so that they work from an installed wheel."""
