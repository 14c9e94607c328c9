"""Parts of human_loop.py: the arms of the comparison, what each runs, and the figure."""
