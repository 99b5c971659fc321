"""What is made of a sealed meeting: a better transcript, a summary, minutes, deliveries."""
