"""Book lists in CSV: any export or hand-made file in, books and row problems out."""
