"""Models of results: arrays in, arrays out; nothing of tunewell imported."""
