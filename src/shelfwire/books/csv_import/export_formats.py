"""The exports of book sites and programs: how each is recognised, and what its columns hold.

Header names are verbatim. Columns are in order of precedence: where two could fill one field, the earlier wins.
Columns are found by name, never by position, because every export has gained and lost columns over the years.
"""

from typing import Final, NamedTuple

from shelfwire.books.bibliography.text import text_key


class ExportFormat(NamedTuple):
    """An export format.

    Attributes:
        name: Its name in lower case.
        signature: Headers (as keys) that no other export has together.
        columns: Field by header (as key).
        language: The language of its headers; it decides between day/month and month/day dates.
    """

    name: str
    signature: frozenset[str]
    columns: dict[str, str]
    language: str = "en"


def _format(name: str, signature: str, columns: dict[str, str], language: str = "en") -> ExportFormat:
    return ExportFormat(
        name,
        frozenset(map(text_key, signature.split("|"))),
        {text_key(header): field for header, field in columns.items()},
        language,
    )


# Two generations, of 31 and of 24 columns.
_GOODREADS = _format(
    "goodreads",
    "Exclusive Shelf|My Rating",
    {
        "Title": "title_with_series",
        "Author": "author",
        "Additional Authors": "additional_authors",
        "ISBN13": "isbn13",
        "ISBN": "isbn",
        "My Rating": "rating",
        "Publisher": "publisher",
        "Binding": "format",
        "Number of Pages": "pages",
        "Year Published": "year",
        "Original Publication Year": "original_year",
        "Date Read": "date_read",
        "Date Added": "date_added",
        "Exclusive Shelf": "shelf",
        "Bookshelves": "tags",
        "My Review": "review",
        "Private Notes": "notes",
        "Book Id": "id:goodreads",
    },
)
_STORYGRAPH = _format(
    "storygraph",
    "ISBN/UID|Read Status",
    {
        "Title": "title",
        "Authors": "authors",
        "ISBN/UID": "isbn_or_storygraph",
        "Format": "format",
        "Read Status": "shelf",
        "Date Added": "date_added",
        "Last Date Read": "date_read",
        "Dates Read": "dates_read",
        "Star Rating": "rating",
        "Review": "review",
        "Tags": "tags",
        "Owned?": "owned",
    },
)
_LIBRARYTHING = _format(
    "librarything",
    "Primary Author|Sort Character",
    {
        "Title": "title",
        "Primary Author": "inverted_author",
        "Secondary Author Roles": "roles",
        "Secondary Author": "secondary_authors",
        "ISBN": "isbn",
        "ISBNs": "isbn",
        "Publication": "publication",
        "Date": "year",
        "Review": "review",
        "Rating": "rating",
        "Comment": "notes",
        "Private Comment": "notes",
        "Media": "format",
        "Page Count": "pages",
        "Date Started": "date_started",
        "Date Read": "date_read",
        "Entry Date": "date_added",
        "Collections": "collections",
        "Tags": "tags",
        "Languages": "language",
        "LCCN": "id:lccn",
        "OCLC": "id:oclc",
        "Work id": "id:librarything",
        "Book Id": "id:librarything",
    },
)
_CALIBRE = _format(
    "calibre",
    "author_sort|title_sort|library_name",
    {
        "title": "title",
        "authors": "ampersand_authors",
        "isbn": "isbn",
        "identifiers": "identifiers",
        "publisher": "publisher",
        "pubdate": "year",
        "rating": "rating",
        "formats": "format",
        "tags": "tags",
        "series": "series",
        "series_index": "series_index",
        "languages": "language",
        "timestamp": "date_added",
    },
)
_LIBIB = _format(
    "libib",
    "item_type|ean_isbn13|upc_isbn10",
    {
        "title": "title",
        "item_type": "item_type",
        "creators": "authors",
        "ean_isbn13": "isbn13",
        "upc_isbn10": "isbn",
        "publisher": "publisher",
        "publish_date": "year",
        "length": "pages",
        "rating": "rating",
        "review": "review",
        "notes": "notes",
        "status": "shelf",
        "began": "date_started",
        "completed": "date_read",
        "added": "date_added",
        "tags": "tags",
        "group": "tags",
    },
)
# 38 columns in 2014 ("Length" is pages there), 79 today.
_BOOKBUDDY = _format(
    "bookbuddy",
    "Google VolumeID|Author (Last, First)",
    {
        "Title": "title",
        "Subtitle": "subtitle",
        "Author": "authors",
        "Author (Last, First)": "inverted_author",
        "ISBN": "isbn",
        "Publisher": "publisher",
        "Year Published": "year",
        "Date Published": "year",
        "Original Year Published": "original_year",
        "Original Date Published": "original_year",
        "Number of Pages": "pages",
        "Length": "pages",
        "Format": "format",
        "Language": "language",
        "Series": "series",
        "Volume": "series_index",
        "Rating": "rating",
        "Status": "shelf",
        "Wish List": "wishlist",
        "Date Started": "date_started",
        "Date Finished": "date_read",
        "Date Added": "date_added",
        "Notes": "notes",
        "Tags": "tags",
        "Genre": "tags",
        "Google VolumeID": "id:google",
        "OCLC": "id:oclc",
        "LCCN": "id:lccn",
    },
)
_HARDCOVER = _format(
    "hardcover",
    "Hardcover Book ID",
    {
        "Title": "title",
        "Author": "authors",
        "Authors": "authors",
        "ISBN 13": "isbn13",
        "ISBN 10": "isbn",
        "ISBN": "isbn",
        "ASIN": "id:asin",
        "Publisher": "publisher",
        "Publish Date": "year",
        "Release Date": "year",
        "Pages": "pages",
        "Format": "format",
        "Language": "language",
        "Series": "series",
        "Status": "shelf",
        "Owned": "owned",
        "Rating": "rating",
        "Review": "review",
        "Private Notes": "notes",
        "Date Added": "date_added",
        "Date Started": "date_started",
        "Date Finished": "date_read",
        "Lists": "tags",
        "Hardcover Book ID": "id:hardcover",
    },
)
_OPEN_LIBRARY = _format(
    "openlibrary",
    "Work Id|Edition Id|Bookshelf",
    {
        "Edition Id": "id:openlibrary",
        "Work Id": "id:openlibraryWork",
        "Title": "title",
        "Authors": "authors",
        "Bookshelf": "shelf",
        "My Ratings": "rating",
        "First Publish Year": "original_year",
    },
)
_OPENREADS = _format(
    "openreads",
    "my_review|book_format|readings",
    {
        "title": "title",
        "subtitle": "subtitle",
        "author": "authors",
        "isbn": "isbn",
        "olid": "id:openlibrary",
        "status": "shelf",
        "rating": "rating",
        "pages": "pages",
        "publication_year": "year",
        "tags": "piped_tags",
        "my_review": "review",
        "notes": "notes",
        "book_format": "format",
        "readings": "readings",
        "date_added": "date_added",
    },
)
_BOOKWYRM = _format(
    "bookwyrm",
    "author_text|remote_id",
    {
        "title": "title",
        "author_text": "authors",
        "isbn_13": "isbn13",
        "isbn_10": "isbn",
        "start_date": "date_started",
        "finish_date": "date_read",
        "shelf_date": "date_added",
        "rating": "rating",
        "review_content": "review",
        "shelf": "shelf",
        "shelf_name": "shelf_name",
        "openlibrary_key": "id:openlibrary",
        "inventaire_id": "id:inventaire",
        "librarything_key": "id:librarything",
        "goodreads_key": "id:goodreads",
        "bnf_id": "id:bnf",
        "wikidata": "id:wikidata",
        "asin": "id:asin",
        "isfdb": "id:isfdb",
        "oclc_number": "id:oclc",
    },
)
# The entry date is when the book came into Babelio, which is the date it was added, not read.
_BABELIO = _format(
    "babelio",
    "Date d`entrée dans Babelio",
    {
        "ISBN": "isbn",
        "Titre": "title",
        "Auteur": "surname_first_author",
        "Editeur": "publisher",
        "Date de publication": "year",
        "Date d`entrée dans Babelio": "date_added",
        "Statut": "shelf",
        "Note": "rating",
    },
    language="fr",
)

_SHELFWIRE: Final = _format(
    "shelfwire",
    "sourceIndex|ok|code|userMessage",
    {
        "title": "title",
        "authors": "semicolon_authors",
        "isbn13": "isbn13",
        "isbn10": "isbn",
        "isbnAsGiven": "isbn",
        "subtitle": "subtitle",
        "series": "series",
        "publisher": "publisher",
        "year": "year",
        "publishedDate": "year",
        "originalYear": "original_year",
        "pages": "pages",
        "format": "format",
        "language": "language",
        "shelf": "shelf",
        "tags": "semicolon_tags",
        "subjects": "semicolon_tags",
        "rating": "rating",
        "dateStarted": "date_started",
        "dateRead": "date_read",
        "dateAdded": "date_added",
        "review": "plain_review",
        "notes": "plain_notes",
        "identifiers": "json_identifiers",
    },
)

EXPORT_FORMATS: Final = (
    _SHELFWIRE,
    _GOODREADS,
    _STORYGRAPH,
    _LIBRARYTHING,
    _CALIBRE,
    _LIBIB,
    _BOOKBUDDY,
    _HARDCOVER,
    _OPEN_LIBRARY,
    _OPENREADS,
    _BOOKWYRM,
    _BABELIO,
)
"""Every export that is recognised; anything else is read by the generic column names."""
