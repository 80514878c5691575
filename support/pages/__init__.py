"""HTML and SVG pages, built with every text escaped: reports, token pages and eval pages.

May import `support/*.py`.
"""
