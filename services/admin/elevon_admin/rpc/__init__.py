"""One servicer per file: decode, call, encode."""
