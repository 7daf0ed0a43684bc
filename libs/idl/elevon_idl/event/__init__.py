"""Generated; see scripts/generate_stubs.py."""
