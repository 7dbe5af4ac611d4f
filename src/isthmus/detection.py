"""How strange each sample is, by scores that are calibrated."""
