"""The screens; they talk to the client."""
