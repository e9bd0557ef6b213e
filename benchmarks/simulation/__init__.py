"""The parts of `benchmarks.fleet_simulation`: agents, a balancer, and what a database has."""
