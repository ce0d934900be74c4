"""One file per foreign format, a reader or a writer."""
