"""What can be visited: lessons on how a network sees, each on a picture of one's own."""
