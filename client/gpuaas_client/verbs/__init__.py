"""Verbs of the command, a module for what belongs together."""
