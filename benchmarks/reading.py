"""Python, the list of files from git, and every file read: nothing else."""

import subprocess

names = subprocess.run(["git", "ls-files", "-z", "--", "*.py"], capture_output=True, check=True).stdout
for name in filter(None, names.split(b"\0")):
    with open(name, "rb") as file:
        file.read()
