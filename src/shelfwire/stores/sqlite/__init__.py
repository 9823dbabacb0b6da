"""The embedded store: one SQLite file in a data folder that belongs to one process."""
