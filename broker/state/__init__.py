"""What is on disk so that a restart does not lose it. Nothing here knows what is kept, or why."""
