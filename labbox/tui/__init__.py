"""The full-screen interface of a session."""
