"""From a judge's reply to what it says: one parser per verdict format."""
