"""The real schedule, keeper, rounds and desk on a virtual clock, against a scripted cloud and made-up SDK clients.

    world       a clock that knows the truth        cloud       the scripted upstream, and what it really minted
    node        the broker as workers meet it       peers       other brokers, by their published rules
    sdks        who asks, and when                  judge       the promises, held to each answer
    life        all of it together, act by act      soak        thousands of such lives
    outage      how long nobody notices             fair        what good weather costs and gives
    table       the figures, as docs/reliability.md shows them

`python -m tests.simulator`, or `make soak`, prints everything.
"""
