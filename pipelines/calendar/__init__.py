"""Events that people approved, on their way into calendars."""
