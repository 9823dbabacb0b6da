"""One outside service: how often it may be asked, how long it is waited for, and when it is left alone."""
