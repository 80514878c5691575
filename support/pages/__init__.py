"""HTML and SVG pages, built with every text escaped.

Reports, token pages and eval pages use them. Only the standard library and `support.visible` may be imported."""
