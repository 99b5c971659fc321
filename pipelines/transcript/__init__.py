"""From captions to a kept transcript: journal, stores, document, exports."""
