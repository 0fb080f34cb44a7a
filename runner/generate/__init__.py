"""`recipe generate`: rows that models write. Prompts, parsing and filters are functions; one log knows what was asked and answered."""
