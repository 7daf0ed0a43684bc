"""What drives the engine: actors, commits, commands, timers, the outbox, leases."""
