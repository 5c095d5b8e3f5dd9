"""Second factors of those whom the embedded issuer knows."""
