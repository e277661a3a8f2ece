"""What the benchmarks beside the peers have in common: a server, a worker for each peer, and figures out of runs."""
