"""What is logged beside numbers: pictures, histograms, tables, recordings, pages, charts; and whole files.

The walk: an object of `pictures`, `histogram`, `tables`, `recordings` … is made by the script and takes a copy of what
it shows; `log()` finds it with `recognise` and puts it into the `writer`'s bounded queue; the writer's thread encodes
it, writes what is larger than MAX_INLINE to a file in the media folder (`place`), and appends one event to the
journal, with the time and step of the call. Numbers of the same call went before, and wait for none of it.

Nothing here imports numpy, PIL, matplotlib, torch or wandb: they are used where the script has loaded them.
"""
