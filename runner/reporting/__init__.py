"""Present results: tables, pages, model cards."""
