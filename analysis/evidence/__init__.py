"""The mathematics: evidence, intervals, proofs and guards over counts. Pure functions of arrays."""
