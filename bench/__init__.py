"""The bench: a LiveKit server, people who speak, a reader, and figures. No part of the product."""
