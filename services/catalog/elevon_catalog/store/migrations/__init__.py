"""Schema versions of the catalog."""
