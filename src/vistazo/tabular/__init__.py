"""What a table's column will be: a class or a number, learnt from the other columns."""
