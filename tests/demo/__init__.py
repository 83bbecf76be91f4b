"""The main job shown with no cloud account; `python -m tests.demo`."""
