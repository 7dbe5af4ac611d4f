"""The estimators: one face, scikit-learn's, for every model."""

from isthmus.estimators.autoencoders import Autoencoder, VariationalAutoencoder
from isthmus.estimators.classifier import NetworkClassifier
from isthmus.estimators.linear import TruncatedSVD

__all__ = ["Autoencoder", "NetworkClassifier", "TruncatedSVD", "VariationalAutoencoder"]
