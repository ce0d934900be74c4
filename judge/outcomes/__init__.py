"""From stored replies to labels, and from labels to files."""
