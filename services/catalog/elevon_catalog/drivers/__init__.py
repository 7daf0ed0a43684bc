"""Everything but the database that is on the other end of a socket."""
