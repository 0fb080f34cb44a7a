"""What runs inside Axolotl's process, through its plugin."""
