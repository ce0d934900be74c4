"""One module per way to reach a model; foreign errors are translated here."""
