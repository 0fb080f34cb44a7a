"""What files of records hold: read once, in bounded memory, and told as files and as one page."""
