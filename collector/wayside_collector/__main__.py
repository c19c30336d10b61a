"""`python -m wayside_collector`: the same as the command `wayside-collector`."""

from .cli import main

if __name__ == "__main__":
    main()
