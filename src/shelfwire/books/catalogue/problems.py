"""The error for a catalogue's file, or one of its input files, that cannot be used."""

from shelfwire.plugins import ServiceError


class CatalogueError(ServiceError):
    """A file cannot be used. The text names it, and says what is wrong and what to do."""
