"""What the platform decides and keeps; no room and no web framework in here."""
