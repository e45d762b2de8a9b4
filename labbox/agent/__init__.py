"""The program on a station."""
