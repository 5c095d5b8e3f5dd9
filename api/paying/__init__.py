"""Payments: providers behind one port, their words as credit, and what must agree with them."""
