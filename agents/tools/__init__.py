"""What agents and people may have done: tools, and what they are given."""
