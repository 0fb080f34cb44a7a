"""The shipped recipes: YAML only, and the small data that we wrote ourselves."""
