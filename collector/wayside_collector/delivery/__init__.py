"""From the spool to the sinks, one pump for each; the walk through these modules, in its order.

`admission` enters stored batches into the `books` · `reading` takes them from where the sink stands (`progress`,
`groups`), `selection` applies the sink's options, `election` says which rank speaks for a run, `steps` merges ·
`buffer` holds what is to be sent, without the runs that stand `aside` · `flight` is the parcel under way, `sending`
one attempt at it, `backoff` the pause · `commit` writes cursor, books and state, which `kept` reads at a start.
`pump` drives one sink along this, `pumps` is all of them, `retention` lets go of what the spool has no room for.
Dead letters: `letter_text` is how one is written down, `dead_letters` lists and drops them, `replay` sends again.
"""
