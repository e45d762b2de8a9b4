"""The SSH front door for users."""
