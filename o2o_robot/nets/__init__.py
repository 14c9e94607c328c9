"""Networks: multilayer perceptrons, critic ensembles, image encoders, the tanh-Gaussian policy head."""
