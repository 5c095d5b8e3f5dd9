"""HTTP to a port of a runtime: one origin each, passes checked against the log."""
