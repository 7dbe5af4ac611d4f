"""One file a contender: a function ``train(task, pace, ...)`` that returns each epoch's loss."""
