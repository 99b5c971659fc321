"""Everything that lives in a LiveKit room."""
