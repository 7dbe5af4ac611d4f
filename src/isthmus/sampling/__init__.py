"""New samples, from the prior or from the density of the codes."""
