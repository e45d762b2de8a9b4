"""labbox: one machine in a lab that people reach over SSH to run their studies."""

__version__ = "0.1.0"
