"""What a job will cost and has cost."""
