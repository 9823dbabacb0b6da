"""Implementations of the store, and the schema that they share."""
