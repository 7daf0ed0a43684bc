"""Pure rules of the registry and of executions as users see them."""
