"""From prompts to candidates, and from candidates to pairs."""
