"""Work on files, in a process that has the user's ids and nothing else."""
