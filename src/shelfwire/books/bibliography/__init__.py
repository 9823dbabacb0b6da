"""What makes two books the same: normalised text, titles, people and numbers."""
