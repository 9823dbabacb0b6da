"""Results as files for other book sites and for people: what `results --format` offers beside CSV and JSON."""
