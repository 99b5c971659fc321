"""The text assistant: answers in the room's chat when it is addressed by its name."""
