"""Jobs: state machine, scheduler, runs, logs, results."""
