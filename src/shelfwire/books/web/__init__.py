"""The HTTP routes of the books."""
