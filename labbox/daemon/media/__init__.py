"""Sticks."""
