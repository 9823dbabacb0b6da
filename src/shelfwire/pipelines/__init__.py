"""The pipelines that come with shelfwire; each knows the engine's job context and nothing above it."""
