"""The books: three pipelines, and the services, routes and commands around them, as a plug-in of the engine."""
