"""`recipe chat`: a model talked with, line by line, in a terminal or through a pipe."""
