"""What a recipe takes and what this machine has: memory, disk, packages."""
