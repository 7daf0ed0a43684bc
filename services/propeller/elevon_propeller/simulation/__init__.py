"""Worlds without a world: closures made by hand, and a driver that plays everything around the engine, seeded."""
