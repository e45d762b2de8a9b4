"""Widgets; they are fed by screens and know no client."""
