"""What a series will be: its next steps, with how far they may be off."""
