"""Seeded rollouts as their pods would show them, to measure judges on. No part of the operator uses it."""
