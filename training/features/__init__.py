"""Features of a sparse autoencoder: its curve, its map, and the page that shows them."""
