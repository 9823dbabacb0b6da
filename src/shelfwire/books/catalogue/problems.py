"""What can go wrong with a catalogue's file, and with what it is made of."""

from shelfwire.plugins import ServiceError


class CatalogueError(ServiceError):
    """A file cannot be used. The text names it, and says what is wrong and what to do."""
