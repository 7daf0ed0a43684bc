"""The rules of the catalog, without any I/O."""
