"""The one decision: may this principal do this action here."""
