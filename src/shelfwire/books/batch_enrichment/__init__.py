"""Metadata for a list of books, from several providers: asked politely, matched with care, merged by stated rules."""
