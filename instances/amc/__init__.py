"""The only code that talks to Amazon."""
