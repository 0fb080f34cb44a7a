"""`recipe chat`, `serve` and `predict`: use a model interactively, through a pipe, or over HTTP."""
