"""The local-filesystem backend."""
