"""Stores: where jobs live. One schema for all of them."""
