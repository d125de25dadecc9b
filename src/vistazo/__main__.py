"""`python -m vistazo`, which works where no script folder is on the path."""

from vistazo.cli import program

program()
