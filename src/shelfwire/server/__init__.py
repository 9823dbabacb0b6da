"""The process: uvicorn on a socket of its own, and how others find it."""
