"""The local catalogue: books that exist, in one file, to be asked without a network."""

from shelfwire.books.catalogue.catalogue import Catalogue
from shelfwire.books.catalogue.hits import SURE, CatalogueHit
from shelfwire.books.catalogue.problems import CatalogueError

__all__ = ["SURE", "Catalogue", "CatalogueError", "CatalogueHit"]
