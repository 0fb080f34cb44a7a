"""What one command does with whole runs: run, sweep, reproduce, check a resume, upload, export."""
