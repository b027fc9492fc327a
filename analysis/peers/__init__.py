"""Judges of other products, from their published descriptions, to compare with. No part of the operator uses them."""
