"""The Docker engine: images, environments, confined runs."""
