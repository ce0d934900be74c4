"""Whether reference answers can be relied on, before a judge is shown them."""
