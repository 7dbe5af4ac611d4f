"""What classifiers and neighbours say of reconstructions and of new samples."""
