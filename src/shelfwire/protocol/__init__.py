"""The protocol: messages, jobs and their transitions, the feed of a follower, tokens, the client's schedule.

Everything here is pure: no clock, no I/O, no asyncio, no randomness. Time and identifiers are arguments.
"""
