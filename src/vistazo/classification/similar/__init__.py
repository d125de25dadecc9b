"""What a network sees: embeddings, similar pictures, who or what is on a picture."""
