"""The protocol: messages, the job's states, what a follower is told, tokens, the client's schedule.

Everything here is pure: no clock, no I/O, no asyncio, no randomness. Time and identifiers are arguments.
"""
