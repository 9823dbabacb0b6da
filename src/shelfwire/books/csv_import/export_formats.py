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
        title: Its name for people.
        signature: Headers (as keys) that no other export has together; empty if it never has a header.
        columns: Field by header (as key).
        language: The language of its headers; it decides between day/month and month/day dates.
        repeated: Headers (as keys) of columns that say again what another says, or keep the program's own books;
            leaving them out loses nothing.
        others: Headers (as keys) of columns that no field may be made of by their names: those of `repeated`, and those
            that hold what is not the reader's own, such as the marks of all readers.
        headerless: The names of its columns in their order, where it may come without a header; it is then recognised
            by the form of its cells.
    """

    name: str
    title: str
    signature: frozenset[str]
    columns: dict[str, str]
    language: str = "en"
    repeated: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    headerless: tuple[str, ...] = ()


def _format(
    title: str,
    signature: str,
    columns: dict[str, str],
    *,
    name: str | None = None,
    language: str = "en",
    repeated: str = "",
    others: str = "",
    headerless: tuple[str, ...] = (),
) -> ExportFormat:
    return ExportFormat(
        name or title.lower().replace(" ", ""),
        title,
        _keys(signature),
        {text_key(header): field for header, field in columns.items()},
        language,
        _keys(repeated),
        _keys(repeated) | _keys(others),
        headerless,
    )


def _keys(headers: str) -> frozenset[str]:
    return frozenset(map(text_key, filter(None, headers.split("|"))))


# Two generations, of 31 and of 24 columns.
_GOODREADS = _format(
    "Goodreads",
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
        "Read Count": "read_count",
        "Owned Copies": "owned",
        "Book Id": "id:goodreads",
        # What Enhance-GoodReads-Export adds.
        "read_dates": "readings",
        "genres": "voted_tags",
    },
    repeated="Author l-f|Bookshelves with positions",
)
_STORYGRAPH = _format(
    "StoryGraph",
    "ISBN/UID|Read Status",
    {
        "Title": "title",
        "Authors": "authors",
        "ISBN/UID": "isbn_or_storygraph",
        "Format": "format",
        "Read Status": "shelf",
        "Date Added": "date_added",
        "Read Count": "read_count",
        "Last Date Read": "date_read",
        "Dates Read": "dates_read",
        "Star Rating": "rating",
        "Review": "review",
        "Tags": "tags",
        "Owned?": "owned",
    },
)
_LIBRARYTHING = _format(
    "LibraryThing",
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
        "Copies": "copies",
        "LCCN": "id:lccn",
        "OCLC": "id:oclc",
        "Work id": "id:librarything",
        "Book Id": "id:librarything",
    },
    repeated="Sort Character|Physical Description",
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
        "series_index": "index_in_series",
        "languages": "language",
        "timestamp": "date_added",
        "uuid": "id:calibre",
    },
    repeated="author_sort|title_sort|library_name|size|cover|id",
)
_LIBIB = _format(
    "Libib",
    "item_type|ean_isbn13|upc_isbn10",
    {
        "title": "title",
        "item_type": "item_type",
        "creators": "comma_authors",
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
        "copies": "copies",
    },
    repeated="first_name|last_name",
)
# 38 columns in 2014 ("Length" is pages there), 79 today.
_BOOKBUDDY = _format(
    "BookBuddy",
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
        "Edition": "edition",
        "Quantity": "copies",
        "OCLC": "id:oclc",
        "LCCN": "id:lccn",
    },
    repeated="Uploaded Image URL",
)
_HARDCOVER = _format(
    "Hardcover",
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
    "Open Library",
    "Work Id|Edition Id|Bookshelf",
    {
        "Edition Id": "id:openlibrary",
        "Work Id": "id:openlibraryWork",
        "Title": "title",
        "Authors": "comma_authors",
        "Bookshelf": "shelf",
        "My Ratings": "rating",
        "First Publish Year": "original_year",
        "Subjects": "piped_tags",
    },
    repeated="Edition Count|Has Ebook",
)
_OPENREADS = _format(
    "Openreads",
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
    "BookWyrm",
    "author_text|remote_id",
    {
        "title": "title",
        "author_text": "authors",
        "isbn_13": "isbn13",
        "isbn_10": "isbn",
        "start_date": "date_started",
        "finish_date": "date_read",
        "stopped_date": "date_stopped",
        "pages": "pages",
        "shelf_date": "date_added",
        "rating": "rating",
        "review_name": "review_title",
        "review_content": "review",
        "shelf": "shelf",
        "shelf_name": "shelf_name",
        "openlibrary_key": "id:openlibrary",
        "finna_key": "id:finna",
        "libris_key": "id:libris",
        "inventaire_id": "id:inventaire",
        "librarything_key": "id:librarything",
        "goodreads_key": "id:goodreads",
        "bnf_id": "id:bnf",
        "viaf": "id:viaf",
        "wikidata": "id:wikidata",
        "asin": "id:asin",
        "isfdb": "id:isfdb",
        "oclc_number": "id:oclc",
    },
    repeated="remote_id",
)
# The entry date is when the book came into Babelio, which is the date it was added, not read.
_BABELIO = _format(
    "Babelio",
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

# Without a header, in cp932. The last column but one is the kind of item: paper or electronic.
_BOOKLOG_COLUMNS: Final = (
    "サービスID|アイテムID|13桁ISBN|カテゴリ|評価|読書状況|レビュー|タグ|読書メモ(非公開)|登録日時|読了日|タイトル|作者名"
    "|出版社名|発行年|ジャンル|ページ数"
)
_BOOKLOG = _format(
    "booklog.jp",
    "サービスID|アイテムID|読書状況",
    {
        "タイトル": "title",
        "作者名": "author",
        "13桁ISBN": "isbn13",
        "アイテムID": "isbn",
        "出版社名": "publisher",
        "発行年": "year",
        "ページ数": "pages",
        "ジャンル": "format",
        "評価": "rating",
        "読書状況": "shelf",
        "読了日": "date_read",
        "登録日時": "date_added",
        "カテゴリ": "tags",
        "タグ": "spaced_tags",
        "レビュー": "review",
        "読書メモ(非公開)": "notes",
    },
    name="booklog",
    language="ja",
    repeated="サービスID",
    headerless=tuple(_BOOKLOG_COLUMNS.split("|")),
)
# Scripts that save what the site shows; it has no export of its own.
_BOOKMETER = _format(
    "bookmeter",
    "Date|Title|Page",
    {"Date": "date_read", "Title": "title", "Author": "authors", "Page": "pages"},
    language="ja",
)
_LIVELIB = _format(
    "LiveLib",
    "Название|Автор|Оценка|Дата прочтения|Статус",
    {
        "Название": "title",
        "Автор": "author",
        "ISBN": "isbn",
        "Издательство": "publisher",
        "Год издания": "year",
        "Серия": "series",
        "Оценка": "rating",
        "Дата прочтения": "date_read",
        "Статус": "shelf",
        "Теги": "tags",
        "Рецензия": "review",
        "Заметка": "notes",
    },
    language="ru",
)
_ANOBII = _format(
    "aNobii",
    "Comment title|Comment content|Stars|Status",
    {
        "Title": "title",
        "Subtitle": "subtitle",
        "Author": "author",
        "ISBN": "isbn",
        "Publisher": "publisher",
        "Publication date": "year",
        "Number of pages": "pages",
        "Format": "format",
        "Status": "shelf",
        "Stars": "rating",
        "Comment title": "review_title",
        "Comment content": "review",
        "Private Note": "notes",
        "Tags": "slashed_tags",
    },
)
_LIBATION = _format(
    "Libation",
    "Audible Product Id|Book Liberated Status",
    {
        "Title": "title",
        "Subtitle": "subtitle",
        "Authors": "authors",
        "Publisher": "publisher",
        "Date Published": "year",
        "Language": "language",
        "Content Type": "item_type",
        "Series Names": "series",
        "Series Order": "series_index",
        "My Rating: Overall": "rating",
        "Is Finished?": "is_read",
        "Date Added to library": "date_added",
        "Categories": "tags",
        "My Libation Tags": "spaced_tags",
        "Audible Product Id": "id:asin",
    },
    repeated="Account|Is Audible Plus?|Absent from last scan?|Locale|Has PDF|Cover Id|Cover Id Large|Is Abridged?"
    "|Book Liberated Status|PDF Liberated Status|Last Downloaded|Last Downloaded Version|Is Spatial?|Included Until"
    "|Last Downloaded File Version|Last Downloaded Codec|Last Downloaded Sample rate|Last Downloaded Audio Channels"
    "|Last Downloaded Bitrate",
)
# Its rating is that of all listeners.
_AUDIBLE_CLI = _format(
    "audible-cli",
    "asin|percent_complete|is_finished|runtime_length_min",
    {
        "title": "title",
        "subtitle": "subtitle",
        "authors": "authors",
        "series_title": "series",
        "series_sequence": "series_index",
        "is_finished": "is_read",
        "genres": "tags",
        "release_date": "year",
        "date_added": "date_added",
        "purchase_date": "date_added",
        "asin": "id:asin",
    },
    repeated="cover_url|purchase_date",
    others="rating|num_ratings|extended_product_description",
)
_READING_LIST = _format(
    "Reading List",
    "Google Books ID|Started Reading|Finished Reading",
    {
        "Title": "title",
        "Subtitle": "subtitle",
        "Authors": "inverted_author",
        "ISBN-13": "isbn13",
        "Google Books ID": "id:google",
        "Manual ID": "id:readinglist",
        "Page Count": "pages",
        "Publication Date": "year",
        "Publisher": "publisher",
        "Language Code": "language",
        "Series": "series",
        "Series Order": "series_index",
        "Started Reading": "date_started",
        "Finished Reading": "date_read",
        "Rating": "rating",
        "Notes": "notes",
        "Lists": "tags",
        "Subjects": "tags",
    },
)
_JELU = _format(
    "Jelu",
    "read_dates|dropped_dates|currently_reading",
    {
        "Title": "title",
        "authors": "authors",
        "Author": "authors",
        "isbn13": "isbn13",
        "isbn10": "isbn",
        "ISBN": "isbn",
        "Publisher": "publisher",
        "Shelves": "shelf",
        "owned": "owned",
        "currently_reading": "is_reading",
        "read_dates": "dates_read",
        "dropped_dates": "date_stopped",
        "Bookshelves": "spaced_tags",
        "tags": "tags",
    },
    repeated="Date Read",
)
_BOOKLOGR = _format(
    "BookLogr",
    "reading_status|current_page|total_pages",
    {
        "title": "title",
        "author": "authors",
        "isbn": "isbn",
        "reading_status": "shelf",
        "total_pages": "pages",
        "rating": "rating",
        "notes": "notes",
    },
)
_ZOTERO = _format(
    "Zotero",
    "Item Type|Publication Title|Manual Tags",
    {
        "Title": "title",
        "Item Type": "item_type",
        "Author": "inverted_author",
        "Editor": "inverted_author",
        "ISBN": "isbn",
        "Publisher": "publisher",
        "Publication Year": "year",
        "Date": "year",
        "Num Pages": "pages",
        "Edition": "edition",
        "Language": "language",
        "Series": "series",
        "Series Number": "series_index",
        "Volume": "volume",
        "Date Added": "date_added",
        "Manual Tags": "tags",
        "Notes": "notes",
        "Key": "id:zotero",
        "DOI": "id:doi",
    },
    repeated="Date Modified|Access Date|Short Title",
)
_NEVER_TOO_MANY_BOOKS_COLUMNS: Final = {
    "title": "title",
    "author_details": "inverted_author",
    "isbn": "isbn",
    "publisher": "publisher",
    "date_published": "year",
    "first_publication": "original_year",
    "pages": "pages",
    "format": "format",
    "edition_info": "edition",
    "language": "language",
    "series_details": "series_list",
    "read": "is_read",
    "read_start": "date_started",
    "read_end": "date_read",
    "rating": "rating",
    "owned": "owned",
    "date_added": "date_added",
    "bookshelf": "tags",
    "genre": "tags",
    "notes": "escaped_notes",
    "goodreads_book_id": "id:goodreads",
}
_PROGRAMS_OWN: Final = (
    "_id|bookshelf_id|anthology|anthology_titles|edition_bm|last_goodreads_sync_date|last_update_date|book_uuid"
)
_NEVER_TOO_MANY_BOOKS = _format(
    "NeverTooManyBooks", "author_details|edition_bm", _NEVER_TOO_MANY_BOOKS_COLUMNS, repeated=_PROGRAMS_OWN
)
_BOOK_CATALOGUE = _format(
    "Book Catalogue", "author_details|series_details", _NEVER_TOO_MANY_BOOKS_COLUMNS, repeated=_PROGRAMS_OWN
)
# Loans and holds, one row each.
_LIBBY = _format(
    "Libby",
    "cover|timestamp|activity|library",
    {
        "title": "title",
        "author": "authors",
        "publisher": "publisher",
        "isbn": "isbn",
        "timestamp": "date_added",
        "activity": "tags",
    },
    repeated="cover",
)
_KINDLE = _format(
    "Kindle",
    "itemId|acquiredDate|title",
    {
        "title": "title",
        "author": "author",
        "itemId": "id:asin",
        "acquiredDate": "date_added",
        "readStatus": "shelf",
    },
    repeated="itemType|imageUrl|pageRowLocation",
)
# A table of the database on a Kobo reader, as tools and queries take it out; its other columns depend on them.
_KOBO = _format(
    "Kobo",
    "Attribution|ReadStatus",
    {
        "Title": "title",
        "Attribution": "author",
        "ISBN": "isbn",
        "Publisher": "publisher",
        "Language": "language",
        "Series": "series",
        "SeriesNumber": "series_index",
        "ReadStatus": "kobo_state",
        "LastTimeFinishedReading": "date_read",
        "DateLastRead": "last_opened",
        "DateAdded": "date_added",
        "DateCreated": "year",
    },
    repeated="ContentID|BookID|ContentType|MimeType|VolumeIndex|ImageId",
)
# Highlights, one row each, so that most rows are of a book that an earlier one has.
_READWISE = _format(
    "Readwise",
    "Highlight|Book Title|Amazon Book ID",
    {
        "Book Title": "title",
        "Book Author": "author",
        "Amazon Book ID": "id:asin",
        "Document tags": "tags",
    },
    repeated="Location Type|Location|Color",
    others="Highlight|Note|Tags|Highlighted at",
)
# As extensions for browsers save it; the sheet, or a column of its own, says the state. The date is when it was marked.
_DOUBAN = _format(
    "Douban",
    "标题|简介|豆瓣评分|我的评分",
    {
        "标题": "title",
        "简介": "slashed_details",
        "我的评分": "rating",
        "创建时间": "date_added",
        "标签": "tags",
        "评论": "review",
        "链接": "id:douban",
    },
    language="zh",
    others="豆瓣评分",
)
# Our own tables, as results are asked for: what was imported once can be imported again.
_SHELFWIRE: Final = _format(
    "shelfwire",
    "sourceIndex|ok|code|userMessage",
    {
        "title": "title",
        "authors": "semicolon_authors",
        "isbn13": "isbn13",
        "isbn10": "isbn",
        "otherIsbns": "isbn",
        "isbnAsGiven": "isbn",
        "subtitle": "subtitle",
        "series": "series",
        "volume": "volume",
        "edition": "edition",
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
        "reads": "json_reads",
        "dateStarted": "date_started",
        "dateRead": "date_read",
        "dateAdded": "date_added",
        "copies": "copies",
        "readCount": "read_count",
        "review": "plain_review",
        "notes": "plain_notes",
        "identifiers": "json_identifiers",
    },
    repeated="index|sourceIndex|ok|code|userMessage|row|datesRead|warnings",
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
    _BOOKLOG,
    _BOOKMETER,
    _LIVELIB,
    _ANOBII,
    _LIBATION,
    _AUDIBLE_CLI,
    _READING_LIST,
    _JELU,
    _BOOKLOGR,
    _ZOTERO,
    _NEVER_TOO_MANY_BOOKS,
    _BOOK_CATALOGUE,
    _LIBBY,
    _KINDLE,
    _KOBO,
    _READWISE,
    _DOUBAN,
)
"""Every export that is recognised; anything else is read by the generic column names."""
