"""Work that is done outside of the server, as its worker's side: jobs are made or claimed, reported, and let go.

Source: section 9 of the wire contract.
"""
