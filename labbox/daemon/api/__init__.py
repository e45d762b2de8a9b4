"""The HTTP API, one module per noun, mirroring labbox.cli."""
