"""The stages of a run, a module each: what it is made of (its key), what it leaves and how it runs. stage.py has the loop over them."""
