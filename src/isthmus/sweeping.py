"""The same data with one number of latents after another."""
