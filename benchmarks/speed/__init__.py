"""Training speed beside peers: the same data, network, batch and learning rate for everyone."""
