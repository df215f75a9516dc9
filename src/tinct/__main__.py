"""`python -m tinct` is `tinct`."""

from tinct.cli.main import main

if __name__ == "__main__":
    main()
