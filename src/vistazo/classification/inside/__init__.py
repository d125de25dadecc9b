"""Inside a network: its layers counted, its filters, what it makes of a picture, and what each unit likes most."""
