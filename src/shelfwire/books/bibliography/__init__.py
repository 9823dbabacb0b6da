"""Values of books, and how they are compared: text, titles, people, ISBNs, dates, languages, publishers, records."""
