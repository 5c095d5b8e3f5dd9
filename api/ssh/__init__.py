"""The SSH certificate authority, and the routes that grant access and take it away."""
