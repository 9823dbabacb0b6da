"""The shells: HTTP and the progress socket. They translate and never decide."""
