"""The minutes of a meeting: its summary and its transcript in one document that people read."""
