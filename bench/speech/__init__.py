"""The scripted meeting: its script, its audio files and what made them."""
