"""The contract: JSON Schemas, recipes with the place of every value, and the errors people see. Imports no sibling."""

VERSION = "0.1.0"
