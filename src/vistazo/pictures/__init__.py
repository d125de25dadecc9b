"""What picture tasks share: reading, decoding, splitting, loading, augmenting, drawing."""
