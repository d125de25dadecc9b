"""`vistazo studio`: the whole cycle on pages, for somebody who never saw a terminal."""
