"""Readings taken: who may report what, in which order, sealed batch by batch (ADR 0024)."""
