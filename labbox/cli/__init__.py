"""The command line: one module per noun; every verb goes through labbox.client."""
