"""The heart: what happens next in an execution, decided without clock, randomness, I/O or concurrency."""
