"""Worlds without a world: closures made by hand, and two ways to play everything around the engine, seeded.

`world` plays one execution against the engine alone, step by step. `scene` plays a whole plane: the real runtime on one
or two replicas, in virtual time, against a store, an admin, a catalog and plugins that fail. `python -m
elevon_propeller.simulation` plays many seeds and tells the shortest history of one that breaks a rule.
"""
