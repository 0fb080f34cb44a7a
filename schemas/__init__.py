"""The recipe format: JSON Schemas, recipes with the location of every value, rules and errors. Imports neither converters nor runner."""

VERSION = "0.1.0"
