"""The gateway: the only way to a runtime, and where access ends when it is taken away."""
