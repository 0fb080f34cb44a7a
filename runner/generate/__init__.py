"""`recipe generate`: rows written by models. Prompts, parsing and filters are functions; one log records requests and replies."""
