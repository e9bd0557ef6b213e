"""Programs that know their true stacks, and how many of those the agent shows whole.

`programs/` has their sources, `kinds` each kind with what is true of it, `running` traces them all,
`judge` holds what the agent says against what is true, `table` sums it up for docs/stacks.md.
"""
