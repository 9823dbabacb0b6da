"""Photos of bookshelves: the books on them out, read on this machine or by Gemini."""
