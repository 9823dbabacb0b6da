"""The migrations, one file a number."""
