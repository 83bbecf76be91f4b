"""The configuration: found, read with every mistake at once, and given as frozen values.

    find.locate     which file                      read.survey   a file and what it includes -> Config
    zero            the Config of no file at all    read.parse    a Snapshot of the files -> Config, without the disk
    example         a file to start from            schema        the JSON schema of the file

Inside: `disk` reads and checks files, `place` knows where things stand in them, `table` takes values by key, `fields`
turns one value into its type, `daemon`, `credentials` and `callers` read a section each, `checks` what lies between.

No message of this room quotes a value: one may be a secret that somebody put where it does not belong.
"""
