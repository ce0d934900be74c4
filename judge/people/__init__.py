"""What goes to people and comes back."""
