"""A server in a process of its own, with all pipelines that are installed."""

from tests.servers import serve

if __name__ == "__main__":
    serve()
