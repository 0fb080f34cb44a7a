"""`recipe serve`: a model behind an OpenAI-compatible address, waiting requests answered in batches."""
