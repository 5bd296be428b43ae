"""The parts of scripts/bench: gateways, load, scenarios, report."""
