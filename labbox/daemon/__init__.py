"""The daemon: the only writer of the box's state."""
