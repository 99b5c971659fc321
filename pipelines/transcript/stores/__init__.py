"""Where lines are kept, beside the journal."""
