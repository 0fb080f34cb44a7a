"""Everything that runs in a child process and may import torch."""
