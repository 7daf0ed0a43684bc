"""One servicer for each service: decode, call, encode."""
