"""What each client will do in a worker's environment: which provider of its chain wins, and what shadows the broker.

The knowledge is pure: a file for each family of clients, tables of steps over frozen facts. Looking at the machine is
`looking`, `reaching` and `asking`; none of them ever imports an SDK, or keeps the value of a secret.
"""
