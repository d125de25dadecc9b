"""The HTTP service: trained models answer over the network. Nothing here imports torch by itself."""
