"""Tools for authors of templates: plan, lint, test and backtest. No part of the operator uses them."""
