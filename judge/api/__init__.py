"""The Python twin of every command: the same arguments, the same results, no printing.

`run` and the other synchronous twins start an event loop of their own in a thread, so they also
work where a loop is running already, as in a notebook. Inside a coroutine, use `arun`.
"""
