"""Speed and memory beside nginx, as ratios in one run; `python -m tests.bench`."""
