"""Copies the jobs of a data folder into a PostgreSQL database, with all that belongs to them, and compares both."""
