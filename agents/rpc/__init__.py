"""What people and agents may call: one model per request and reply, one surface that checks."""
