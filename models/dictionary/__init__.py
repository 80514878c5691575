"""Dictionary learning: K-SVD with known answers, and sparse autoencoders of a model's activations.

Nothing here knows how a run is started or drawn; that is in `training/features` and the training scripts."""
