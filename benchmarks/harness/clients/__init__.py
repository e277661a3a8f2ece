"""One module a peer: the same work, by each peer's own means. Only `benchmarks.harness.worker` imports them."""
