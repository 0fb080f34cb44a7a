"""What the runner tells a trainer through its environment, and the trainer says back in an event."""

KILL_AFTER_SAVE = "RECIPEKIT_KILL_AFTER_SAVE"  # a rehearsal: kill yourself once the first checkpoint is complete
KILLED = "rehearsed_kill"
