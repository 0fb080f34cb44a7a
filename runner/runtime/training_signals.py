"""What the runner tells a trainer through its environment, and the trainer says back in an event."""

KILL_AFTER_SAVE = "RECIPEKIT_KILL_AFTER_SAVE"  # a rehearsal: kill yourself once the first checkpoint is complete
KILL_AT = "RECIPEKIT_KILL_AT_STEP"  # `recipe verify-resume`: kill yourself between this step and its checkpoint
STOP_AT = "RECIPEKIT_STOP_AT_STEP"  # `recipe reproduce --steps`: checkpoint after this step and go no further
KILLED = "rehearsed_kill"
INTERRUPTED = "interrupted"
