"""`python -m judge` is the console command `judge`."""

from judge.cli import main

if __name__ == "__main__":
    main()
