"""The parts that metrics are judged by, a file a family: from a block to sums, from sums to a likelihood."""
