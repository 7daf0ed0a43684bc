"""Everything with a socket: admin's events, the catalog."""
