"""Read before anything of the program is: what a command prints under test has no colours, on whatever screen."""

import os

os.environ["TERM"] = "dumb"
