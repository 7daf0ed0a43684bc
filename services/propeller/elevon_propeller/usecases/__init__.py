"""What can be asked of the engine, one module per family."""
