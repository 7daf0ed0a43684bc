"""What a user asks a running control plane, wherever it is: one module per family of commands."""
