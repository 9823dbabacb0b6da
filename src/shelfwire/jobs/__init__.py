"""The engine: the store's duties, the committer, the hub, the worker and what a pipeline sees of its job."""
