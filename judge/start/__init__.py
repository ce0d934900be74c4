"""The first steps: a project, a check, a demonstration."""
