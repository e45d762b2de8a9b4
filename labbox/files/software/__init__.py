"""What a project's files ask for, understood by a process of the person's: typed, capped, never run."""
