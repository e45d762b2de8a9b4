"""The folder custom/: its schema, how it is loaded and checked. Pure functions over a path."""
