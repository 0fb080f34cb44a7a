"""What was found, for people: tables, pages, cards."""
