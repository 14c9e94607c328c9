"""One actor-critic; losses are free functions of tensors, algorithms are presets."""
