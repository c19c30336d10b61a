"""What a collector is told to do: a YAML file and the environment, turned into the frozen options of each part, read
again while it runs, and what is wrong with them in words for people.
"""
