"""What `recsmith plugins new` writes: one plugin of each kind, real code with `my_name` where the author's name goes.

`answers/` holds one test with a known answer for each of them, `shared/` the files that all kinds have in common.
"""
