"""The fast path of followers: their bytes go from the job's steps straight to their connections.

A connection has one object and no task, queue or timer of its own. This path can only say yes: a head that is not
plainly a good request of a follower, and a follower that is not admitted, goes byte for byte to the ordinary way, which
alone knows refusals and unusual clients. Without this package everything works, slower.
"""
