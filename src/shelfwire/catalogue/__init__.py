"""The local catalogue: books that exist, in one file, to be asked without a network."""

from shelfwire.catalogue.catalogue import Catalogue
from shelfwire.catalogue.entry import SURE, Entry, Found
from shelfwire.catalogue.problems import CatalogueError

__all__ = ["SURE", "Catalogue", "CatalogueError", "Entry", "Found"]
