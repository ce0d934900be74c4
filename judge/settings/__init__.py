"""Settings: their model, and where they are written."""
