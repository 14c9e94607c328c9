"""Where a run's numbers go besides its own logs: TensorBoard always, Weights & Biases and Rerun where asked."""
