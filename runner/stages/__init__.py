"""The stages of a run, one module each: what it depends on (its key), what it writes and how it runs. stage.py has the loop over them."""
