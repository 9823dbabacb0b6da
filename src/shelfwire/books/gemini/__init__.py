"""Gemini, over its REST interface: reads photos of books and rows of book lists."""
