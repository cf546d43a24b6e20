"""Data loggers that are not there: each on a TCP connection of its own, as the real ones are, mistakes and all."""
