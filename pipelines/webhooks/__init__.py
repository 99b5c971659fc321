"""LiveKit's webhooks: what it tells of its rooms."""
